package text

import "unicode/utf8"

// byteOf maps the characters of a byte-level vocabulary to the bytes that they stand for. GPT-2's rule: printable
// Latin-1 stands for itself, the other 68 bytes, in order, for U+0100 and up; so the space is Ġ and the newline Ċ.
var byteOf = func() map[rune]byte {
	m := make(map[rune]byte, 256)
	next := rune(0x100)
	for b := rune(0); b < 256; b++ {
		if b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xAC || b >= 0xAE {
			m[b] = byte(b)
		} else {
			m[next] = byte(b)
			next++
		}
	}
	return m
}()

// appendBytes appends the bytes of a token of a byte-level vocabulary. A token with a character outside of the
// alphabet (an added one, with a space in it) stands for its own text.
func (v *vocabulary) appendBytes(b []byte, id int32, skipSpecial bool) []byte {
	if !v.has(id) || skipSpecial && v.special[id] {
		return b
	}
	start := len(b)
	for _, r := range v.tokens[id] {
		c, ok := byteOf[r]
		if !ok {
			return append(b[:start], v.tokens[id]...)
		}
		b = append(b, c)
	}
	return b
}

// validUTF8 gives b as text, up to a character at its end that may still become complete: that is rest, of at most
// three bytes. Each longest run of bytes that could have begun a character but didn't go on as one becomes U+FFFD: the
// Unicode standard's "maximal subpart", which Rust replaces too (Go's own functions replace more or fewer).
func validUTF8(b []byte) (s string, rest []byte) {
	if utf8.Valid(b) {
		return string(b), nil
	}
	out := make([]byte, 0, len(b)+8)
	for len(b) > 0 {
		if !utf8.FullRune(b) {
			return string(out), b
		}
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			for n < len(b) && !utf8.FullRune(b[:n]) && !utf8.FullRune(b[:n+1]) {
				n++
			}
		}
		out = utf8.AppendRune(out, r)
		b = b[n:]
	}
	return string(out), nil
}
