package text

import "unicode/utf8"

// A Stream decodes one sequence token by token. All that Next returned, and Flush at the end, put together is what
// Decode gives for all the ids.
type Stream struct {
	t           *Tokenizer
	skipSpecial bool

	pending []byte // byte level: the start of a character, of at most three bytes

	// Other decoders know only whole sequences (some drop a first space), so a window is decoded again and again:
	// ids[:shown] gave window so far, the text of the others is still held back.
	ids   []int32
	shown int
}

// maxHeld bounds the tokens whose text is held back for a character to become complete: a character has four bytes.
const maxHeld = 8

// Stream begins a sequence. With skipSpecial, special tokens have no text.
func (t *Tokenizer) Stream(skipSpecial bool) *Stream {
	return &Stream{t: t, skipSpecial: skipSpecial}
}

// Next takes one id and returns the text that is complete with it: whole characters, often none.
func (s *Stream) Next(id int32) string {
	if s.t.byteLevel {
		var out string
		out, s.pending = validUTF8(s.t.appendBytes(s.pending, id, s.skipSpecial))
		return out
	}
	s.ids = append(s.ids, id)
	before, now := s.t.Decode(s.ids[:s.shown], s.skipSpecial), s.t.Decode(s.ids, s.skipSpecial)
	if r, _ := utf8.DecodeLastRuneInString(now); r == utf8.RuneError && len(s.ids)-s.shown < maxHeld {
		return "" // perhaps the first bytes of a character
	}
	return s.show(before, now)
}

// Flush returns what is held back: the sequence is over. The Stream may then begin another one.
func (s *Stream) Flush() string {
	if s.t.byteLevel {
		out := ""
		if len(s.pending) > 0 {
			out = "\uFFFD"
		}
		s.pending = nil
		return out
	}
	out := s.show(s.t.Decode(s.ids[:s.shown], s.skipSpecial), s.t.Decode(s.ids, s.skipSpecial))
	s.ids, s.shown = nil, 0
	return out
}

// show returns what now has more than before, and moves the window on: the tokens that gave the last text stay in it,
// so that the next ones aren't decoded as if they began a text.
func (s *Stream) show(before, now string) string {
	n := 0
	for n < len(before) && n < len(now) && before[n] == now[n] {
		n++
	}
	for n > 0 && n < len(now) && !utf8.RuneStart(now[n]) {
		n--
	}
	if n < len(now) {
		s.ids = s.ids[s.shown:]
	}
	s.shown = len(s.ids)
	return now[n:]
}
