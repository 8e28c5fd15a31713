package main

import (
	"testing"

	"github.com/xenonmp/xme"
)

func TestMain(m *testing.M) {
	xme.Init()
	m.Run()
}

func TestNames(*testing.T) { names() }
