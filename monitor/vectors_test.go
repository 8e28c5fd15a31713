package monitor_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xenonmp/xme/monitor"
)

var update = flag.Bool("update", false, "seal the test vectors anew")

// vector is a sealed message with all that is needed to open it.
type vector struct {
	Name    string `json:"name"`
	Key     string `json:"key"`
	KeyID   string `json:"keyID"`
	Context string `json:"context"`
	Text    string `json:"text"`
	Sealed  string `json:"sealed"` // in hexadecimal
}

const vectorFile = "testdata/vectors.json"

func vectorText(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile(vectorFile)
	ok(t, err)
	return text
}

func vectors(t *testing.T) (all []vector) {
	t.Helper()
	ok(t, json.Unmarshal(vectorText(t), &all))
	return all
}

// feature: N2
func TestVectors(t *testing.T) {
	if *update {
		sealVectors(t)
	}
	doc, err := os.ReadFile(filepath.Join("..", "docs", "messages.md"))
	ok(t, err)
	for _, v := range vectors(t) {
		key, err := monitor.ParseKey(v.Key)
		ok(t, err)
		sealed, err := hex.DecodeString(v.Sealed)
		ok(t, err)
		text, at, err := (&monitor.Opener{Keys: monitor.NewKeys(key), Context: v.Context}).Open(sealed)
		if err != nil || string(text) != v.Text || key.ID() != v.KeyID || at.Year() < 2026 {
			t.Errorf("%s: got %s of %v, %v", v.Name, text, at, err)
		}
		if _, err := monitor.Inspect(sealed); err != nil {
			t.Errorf("%s: %v", v.Name, err)
		}
		for _, part := range []string{v.Key, v.KeyID, v.Text, v.Sealed} {
			if !strings.Contains(string(doc), part) {
				t.Errorf("docs/messages.md lacks what vector %q has: %s", v.Name, part)
			}
		}
		if _, _, err := (&monitor.Opener{Keys: monitor.NewKeys(key), Context: v.Context + "x"}).Open(sealed); !errors.Is(err, monitor.ErrTampered) {
			t.Errorf("%s: for another context: %v", v.Name, err)
		}
	}
}

func sealVectors(t *testing.T) {
	t.Helper()
	var all []vector
	for _, v := range []vector{
		{Name: "compressed", Context: "vectors", Text: `{"text":"` + strings.Repeat("again and ", 12) + `again"}`},
		{Name: "not compressed", Context: "vectors", Text: `{"answer":42}`},
		{Name: "array", Context: "größen", Text: `{"matrix":{"$array":"float64","shape":[2,3],"data":[1,2.5,-3e-07,"NaN","Infinity","-Infinity"]}}`},
		{Name: "empty context", Text: `{}`},
	} {
		key := monitor.NewKey()
		v.Key, v.KeyID = key.Text(), key.ID()
		sealed, err := monitor.Sealer{Keys: monitor.NewKeys(key), Context: v.Context, Plain: v.Name == "array"}.Seal([]byte(v.Text))
		ok(t, err)
		v.Sealed = hex.EncodeToString(sealed)
		all = append(all, v)
	}
	text, err := json.MarshalIndent(all, "", "  ")
	ok(t, err)
	ok(t, os.WriteFile(vectorFile, append(text, '\n'), 0o644))
}

// TestVectorsElsewhere has another implementation open the vectors, which shares no code with this one.
//
// feature: N2
func TestVectorsElsewhere(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3 here")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const probe = "import ctypes, ctypes.util; ctypes.CDLL(ctypes.util.find_library('crypto') or 'libcrypto.so.3').EVP_aes_256_gcm"
	if out, err := exec.CommandContext(ctx, python, "-c", probe).CombinedOutput(); err != nil {
		t.Skipf("python3 finds no libcrypto here: %s", out)
	}
	all := vectors(t)
	fresh := monitor.NewKey() // and what is sealed now
	sealed, err := monitor.Sealer{Keys: monitor.NewKeys(fresh), Context: "now"}.Seal(bytes.Repeat([]byte("now "), 500))
	ok(t, err)
	all = append(all, vector{Key: fresh.Text(), Context: "now", Text: strings.Repeat("now ", 500), Sealed: hex.EncodeToString(sealed)})
	open := func(all []vector) (string, error) {
		in, err := json.Marshal(all)
		ok(t, err)
		cmd := exec.CommandContext(ctx, python, filepath.Join("testdata", "open.py"))
		cmd.Stdin = bytes.NewReader(in)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := open(all)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for i, line := range strings.Fields(out) {
		text, err := hex.DecodeString(line)
		if err != nil || string(text) != all[i].Text {
			t.Errorf("%s: got %q, %v", all[i].Name, text, err)
		}
	}
	all[0].Context += "x"
	if out, err := open(all[:1]); err == nil || !strings.Contains(out, "for another context") {
		t.Errorf("another context was accepted: %s", out)
	}
}
