// Command xme measures the engine on this machine, examines the machine, seals and opens messages, and calls servers.
//
//	xme bench                    every row, beside its floor
//	xme bench startup pi --json  two rows, for a program to read
//	xme doctor                   what this machine offers, and what would hurt
//	xme message key > key        a key for messages; seal and open them
//	xme rpc call ADDR FUNCTION   call a function of a server; list, watch, token
//	xme version
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"

	"github.com/xenonmp/xme"
)

// commands is the command line.
type commands struct {
	Bench   benchCommand   `cmd:"" help:"Measure, each figure beside the floor that this machine sets in the same run."`
	Doctor  doctorCommand  `cmd:"" help:"Say what this machine offers the engine and what would hurt; prove that a pool works."`
	Message messageCommand `cmd:"" help:"Make keys, seal and open messages, as package monitor does."`
	RPC     rpcCommand     `cmd:"" name:"rpc" help:"Call functions and watch messages of a server, as package monitor/rpc does."`
	Version versionCommand `cmd:"" help:"Print the version."`
	Memory  memoryCommand  `cmd:"" name:"measure-memory" hidden:"" help:"One run of the row memory, in a process of its own."`
}

func main() {
	xme.Init()
	servePeer()
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "xme:", err)
		os.Exit(1)
	}
}

// run parses the arguments and runs the command they name.
func run(ctx context.Context, args []string, out io.Writer) error {
	k, err := kong.New(&commands{},
		kong.Name("xme"),
		kong.Description("Measure the engine on this machine; examine the machine; seal and open messages; call servers."),
		kong.Vars{"rows": rowNames()},
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.BindTo(out, (*io.Writer)(nil)),
	)
	if err != nil {
		return err
	}
	command, err := k.Parse(args)
	if err != nil {
		return err
	}
	return command.Run()
}
