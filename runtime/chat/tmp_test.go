package chat_test
import ("testing";"time";"fmt";"hipc/runtime";"hipc/runtime/chat";"hipc/runtime/engine")
func TestTmp(t *testing.T) {
 for range 3 {
	t0 := time.Now()
	a, err := runtime.OpenArtifact("/tmp/hr/out/live"); if err != nil { t.Fatal(err) }
	t1 := time.Now()
	_, un, _ := a.MapWeights()
	t2 := time.Now(); un()
	m, err := engine.Run(a, engine.Options{}); if err != nil { t.Fatal(err) }
	t3 := time.Now()
	tok, _ := chat.Tokenizer(a)
	t4 := time.Now()
	m.Next(1); t5 := time.Now(); m.Feed(t.Context(), []int32{1,2,3,4}); t6 := time.Now(); m.Keep(nil); m.Feed(t.Context(), []int32{1,2,3,4}); t7 := time.Now(); m.Next(3); t8 := time.Now()
	fmt.Println("artifact", t1.Sub(t0), "weights", t2.Sub(t1), "run", t3.Sub(t2), "tok", t4.Sub(t3), "next", t5.Sub(t4), "feed4", t6.Sub(t5), "again", t7.Sub(t6), t8.Sub(t7))
	tok.Close(); m.Close()
 }
}
