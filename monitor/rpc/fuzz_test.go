package rpc_test

import (
	"bytes"
	"net/http/httptest"
	"testing"

	"github.com/xenonmp/xme"
	"github.com/xenonmp/xme/monitor"
	"github.com/xenonmp/xme/monitor/rpc"
)

// FuzzCall sends any bytes as any request: each is answered, and nothing of it stays under way.
func FuzzCall(f *testing.F) {
	on := xme.Inline()
	h, idle, err := rpc.Handler([]rpc.Function{rpc.Export(shift, on), rpc.Export(mirror, on), rpc.Export(echo, on)}, rpc.Plain(),
		rpc.WithMonitor(monitor.New(monitor.Options{})), rpc.WithLimits(rpc.Limits{Message: 10000, Calls: 4, Sessions: 2}))
	if err != nil {
		f.Fatal(err)
	}
	paths := []string{"Call", "Hello", "List", "Stream", "Cancel", "Messages", "Nothing"}
	types := []string{"application/json", "application/proto", "application/connect+json", "application/connect+proto", "application/grpc", "application/grpc-web+proto"}
	f.Add(uint8(0), uint8(0), "", []byte(`{"function":"shift","args":"{\"x\":1}"}`))
	f.Add(uint8(0), uint8(0), "1000", []byte(`{"function":"mirror","args":"[1,{\"a\":1e5}]","mark":{"life":"a","session":"b","number":"1"}}`))
	f.Add(uint8(3), uint8(2), "", append([]byte{0, 0, 0, 0, 39}, `{"function":"echo","args":["\"a\"","1"]}`...))
	f.Add(uint8(5), uint8(0), "", []byte(`{"put":{"a":"1"},"delete":["b"],"all":true}`))
	f.Add(uint8(0), uint8(1), "gzip", []byte("\x0a\x04echo\x12\x03\"a\""))
	f.Fuzz(func(t *testing.T, path, ctype uint8, header string, body []byte) {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/xme.v1.Monitor/"+paths[int(path)%len(paths)], bytes.NewReader(body))
		r.Header.Set("Content-Type", types[int(ctype)%len(types)])
		if header == "gzip" {
			r.Header.Set("Content-Encoding", header)
		} else if header != "" {
			r.Header.Set("Connect-Timeout-Ms", header)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code < 200 || w.Code > 599 || w.Code == 500 && !bytes.Contains(w.Body.Bytes(), []byte("code")) {
			t.Errorf("%d %q", w.Code, w.Body)
		}
		if !idle() {
			t.Error("something is under way")
		}
	})
}
