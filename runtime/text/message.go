package text

import (
	"encoding/json"

	"github.com/nikolalohinski/gonja/v2/exec"
)

// Message is one turn of a conversation, as chat templates know it. Empty fields aren't shown to the template, but for
// Content.
type Message struct {
	Role       string // "system", "user", "assistant", "tool"
	Content    string
	Reasoning  string     // assistant: what it thought; reasoning_content to the template
	ToolCalls  []ToolCall // assistant
	Name       string     // tool: which function answered
	ToolCallID string     // tool: which call it answers
}

// ToolCall is a call that the assistant made. Arguments is a JSON object, as the OpenAI API carries it; the template
// gets it as an object with its keys in order, or as the string that it is if it isn't one.
type ToolCall struct {
	ID, Name, Arguments string
}

// value gives the message the shape that templates expect: Hugging Face's, which is OpenAI's with arguments parsed.
func (m Message) value() any {
	o := object("role", m.Role, "content", m.Content)
	if m.Reasoning != "" {
		set(o, "reasoning_content", m.Reasoning)
	}
	if len(m.ToolCalls) > 0 {
		calls := make(list, len(m.ToolCalls))
		for i, c := range m.ToolCalls {
			var arguments any = c.Arguments
			if v, err := parseJSON([]byte(c.Arguments)); err == nil {
				if d, ok := v.(*exec.Dict); ok {
					arguments = d
				}
			}
			function := object("name", c.Name, "arguments", arguments)
			call := object("type", "function", "function", function)
			if c.ID != "" {
				set(call, "id", c.ID)
			}
			calls[i] = call
		}
		set(o, "tool_calls", calls)
	}
	if m.Name != "" {
		set(o, "name", m.Name)
	}
	if m.ToolCallID != "" {
		set(o, "tool_call_id", m.ToolCallID)
	}
	return o
}

// templateValue turns what a caller hands to a template into values that keep their order and hold no method of ours:
// null, bool, int, float64, string, []any and *exec.Dict. JSON (json.RawMessage) keeps its keys' order; Go maps come
// sorted; structs go through their JSON.
func templateValue(v any) (any, error) {
	switch v := v.(type) {
	case nil, bool, int, float64, string:
		return v, nil
	case json.RawMessage:
		return parseJSON(v)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return parseJSON(b)
}
