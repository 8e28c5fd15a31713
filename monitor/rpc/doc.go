// Package rpc serves functions of the function table and a monitor's messages to other hosts, and calls them there.
package rpc

import _ "github.com/xenonmp/xme/monitor/rpc/internal/xmev1/xmev1connect"
