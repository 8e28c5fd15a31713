package xme_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/xenonmp/xme/monitor"
)

// rpcServer builds the programs of examples/rpc and runs the server. It returns their folder and the server's address.
func rpcServer(t *testing.T, args ...string) (bin, addr string) {
	t.Helper()
	if raced {
		t.Skip("programs are built without the race detector: this says nothing new")
	}
	bin = t.TempDir()
	buildPrograms(t, bin+string(filepath.Separator), "./examples/rpc/server", "./examples/rpc/client", "./cmd/xme")
	server := exec.CommandContext(t.Context(), filepath.Join(bin, "server"), append([]string{"-at", "127.0.0.1:0"}, args...)...)
	server.WaitDelay = 20 * time.Second
	server.Cancel = func() error { return server.Process.Signal(os.Interrupt) }
	if runtime.GOOS == "windows" {
		server.Cancel = nil
	}
	server.Stderr = os.Stderr
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // t.Context has ended: so does the server, by itself
		if err := server.Wait(); err != nil && server.ProcessState.ExitCode() != 0 {
			t.Errorf("the server ended with %v", server.ProcessState)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "serving on ")
	if err != nil || !ok {
		t.Fatalf("the server printed %q, %v", line, err)
	}
	return bin, "http://" + addr
}

// programOut runs a program, which must end well, and returns what it printed.
func programOut(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%s %q: %v", name, args, err)
	}
	return string(out)
}

// Two programs: one serves, one calls. So can curl, as the README says, and a program in another language, which opens a sealed message too.
//
// feature: N1, N2, N3
func TestRPCPrograms(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(monitor.NewKey().Text()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	bin, addr := rpcServer(t, "-key", key)
	const want = "the square is 9223372030926249001\nprimes below 100000: 9592\na crash costs a worker: true\nthere is a message: true\n"
	if got := programOut(t, nil, filepath.Join(bin, "client"), "-at", addr); got != want {
		t.Errorf("the client printed:\n%s\nwant:\n%s", got, want)
	}
	t.Run("curl", func(t *testing.T) {
		if _, err := exec.LookPath("curl"); err != nil {
			t.Skip("there is no curl")
		}
		readme, err := os.ReadFile("README.md")
		if err != nil {
			t.Fatal(err)
		}
		line := regexp.MustCompile(`(?m)^\$? *curl .*-d '(.*)' (http://127.0.0.1:7080)(/\S+)\n` + "```\n\n```text\n" + `(\{.*)$`).FindStringSubmatch(string(readme))
		if line == nil {
			t.Fatal("the README has no line with curl, and one with the answer")
		}
		got := programOut(t, nil, "curl", "-s", "-H", "Content-Type: application/json", "-d", line[1], addr+line[3])
		if got != line[4] {
			t.Errorf("curl printed %s, the README says %s", got, line[4])
		}
	})
	t.Run("xme rpc", func(t *testing.T) {
		xme := filepath.Join(bin, "xme")
		for _, try := range []struct{ args, want string }{
			{"list", `^main\.square +int64 +int64\nmain\.primes +main\.span +int\nmain\.crash +struct \{\} +struct \{\}\n$`},
			{"call square 12", `^144\n$`},
			{"call primes {\"To\":9}", `^4\n$`},
			{"watch --timeout=1s l*", `^\{"key":"last","value":\{.*"primes":4.*\},"revision":\d+.*\}\n$`},
		} {
			words := strings.Fields(try.args)
			words = append([]string{"rpc", words[0], addr}, words[1:]...)
			cmd := exec.CommandContext(t.Context(), xme, words...)
			cmd.Stdin = strings.NewReader("")
			out, err := cmd.Output() // watch ends with its time
			if !regexp.MustCompile(try.want).Match(out) || err != nil && words[1] != "watch" {
				t.Errorf("xme %q: %v, printed\n%s\nwant %s", words, err, out, try.want)
			}
		}
		cmd := exec.CommandContext(t.Context(), xme, "rpc", "call", "--stream", addr, "square")
		cmd.Stdin = strings.NewReader("5\n\n\"six\"\n")
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), `{"index":0,"result":25}`) || !strings.Contains(string(out), `{"index":1,"error":"`) || !strings.Contains(string(out), "1 of 2 calls failed") {
			t.Errorf("xme rpc call --stream: %v, printed\n%s", err, out)
		}
		if out, err := exec.CommandContext(t.Context(), xme, "rpc", "call", addr, "cube", "1").CombinedOutput(); err == nil || !strings.Contains(string(out), `no function "cube" is exported`) {
			t.Errorf("a function that is not there: %v, printed\n%s", err, out)
		}
		if out, err := exec.CommandContext(t.Context(), xme, "rpc", "token", "ann").Output(); err != nil || !strings.HasPrefix(string(out), "xmet1.") {
			t.Errorf("a token: %v, printed\n%s", err, out)
		}
	})
	t.Run("python", func(t *testing.T) {
		python, err := exec.LookPath("python3")
		if err != nil {
			t.Skip("there is no python3")
		}
		run := func(args ...string) string {
			return programOut(t, []string{"XME_KEY_FILE=" + key, "PYTHONDONTWRITEBYTECODE=1"}, python, append([]string{"examples/rpc/client.py", addr}, args...)...)
		}
		for args, want := range map[string]string{
			"call square 3037000499": "9223372030926249001\n",
			"stream square 3 1 2":    "[(0, 9), (1, 1), (2, 4)]\n",
		} {
			if got := run(strings.Fields(args)...); got != want {
				t.Errorf("client.py %s printed %q, want %q", args, got, want)
			}
		}
		if exec.CommandContext(t.Context(), python, "-c", "import ctypes, ctypes.util; ctypes.CDLL(ctypes.util.find_library('crypto') or 'libcrypto.so.3')").Run() != nil {
			t.Skip("there is no libcrypto")
		}
		if got := run("last"); !strings.Contains(got, "'primes': ") || !strings.Contains(got, "'$array': 'int64'") {
			t.Errorf("client.py last printed %q", got)
		}
	})
}

// One server, several pools.
//
// feature: N3, S11
func TestLoadbalanceProgram(t *testing.T) { runScript(t, "loadbalance", "./examples/loadbalance") }
