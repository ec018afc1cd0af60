// Package text turns conversations into token ids and token ids back into text. It is the first and the last thing
// that happens to a request, and the only phase that knows characters: all others see int32.
//
//	messages ── Template.Render ──► prompt ── Tokenizer.Encode ──► ids ──► the model ──► ids ── Stream.Next ──► text
//
// A Tokenizer is a Hugging Face tokenizer.json, run by the Rust library that everyone else runs too, so the ids are
// theirs by construction. What the library can't do from Go is done here: names of tokens to ids, decoding token by
// token, and decoding at all for byte-level vocabularies, because the library's C string loses everything once a
// token holds a zero byte. The library ends the whole process on inputs that it didn't expect, so OpenTokenizer reads
// the file first and refuses what the library has no safe answer for.
//
// A Template is the checkpoint's own Jinja chat template, rendered with the settings of Hugging Face's
// apply_chat_template (blocks trimmed, tojson as Python writes it, raise_exception, strftime_now). It is a program
// that came with a download, so it runs in a cage: it can't name a file, another template or a Go value of ours that
// does anything, and its loops, calls, output and time are counted. One hole is left: an expression that by itself
// builds a huge string, such as "a" * 10**10, is noticed only once it exists.
//
// Special tokens are recognised wherever they stand in the rendered prompt, also inside of what a user typed:
// <|im_end|> in a message ends the turn. Every server that renders first and encodes afterwards has this, and models
// are trained to be served so. Who serves strangers and cares removes special tokens from messages beforehand.
//
// The package links libtokenizers.a through cgo (link.go says where it lies, `make lib` builds it), and is meant to be
// the only one that does. hipc/runtime/text/files, which makes these files out of a checkpoint, is plain Go.
package text
