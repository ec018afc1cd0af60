"""Writes templates.json: chat templates with what Jinja2 (not ours) makes of them, set up as Hugging Face's
apply_chat_template sets it up. The templates are written for this test, with the constructs that published ones use.
Run: python3 templates.py (needs jinja2 3.1)."""
import datetime, json
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

NOW = datetime.datetime(2025, 3, 7, 9, 5, 2)

class Generation(Extension):
    tags = {"generation"}
    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)
    def _body(self, caller):
        return caller()

def refuse(message):
    raise ValueError(message)

env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
env.filters["tojson"] = lambda x, ensure_ascii=False, indent=None, separators=None, sort_keys=False: json.dumps(
    x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
env.globals["raise_exception"] = refuse
env.globals["strftime_now"] = lambda f: NOW.strftime(f)

TOOLS = [{"type": "function", "function": {"name": "weather", "description": "Tells the <weather> & \"more\" — für 東京",
    "parameters": {"type": "object", "properties": {"where": {"type": "string"}, "days": {"type": "integer", "default": 3},
        "at": {"type": "array", "items": {"type": "number", "enum": [1.0, 2.5, 1e-05, 1e16, 123456789.125]}}},
        "required": ["where"], "additionalProperties": False}}}]
CHAT = [{"role": "user", "content": "Hi, I'm Zoë 🙂"}, {"role": "assistant", "content": "Hello!"}, {"role": "user", "content": "And now?"}]
CALLS = [{"role": "system", "content": "  Be brief.  "}, {"role": "user", "content": "Weather?"},
    {"role": "assistant", "content": "", "reasoning_content": "\nI must call.\n", "tool_calls": [
        {"type": "function", "function": {"name": "weather", "arguments": {"where": "東京", "days": 2, "deep": {"z": None, "a": [True, 0.5]}}}, "id": "call_1"},
        {"type": "function", "function": {"name": "weather", "arguments": {"where": "Basel"}}}]},
    {"role": "tool", "content": "rain", "tool_call_id": "call_1"}, {"role": "tool", "content": "sun", "name": "weather"},
    {"role": "assistant", "content": "<think>\nhm\n</think>\n\nRain, then sun."}, {"role": "user", "content": "Thanks"}]

CASES = {
"chatml": ("{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m.content + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}", CHAT, {}),
"white space": ("""a
  {% if true %}
    b
  {%- endif %}
  c {# gone #} d
{#- gone -#}
   e
  {%+ if true %}f{% endif +%}

g {{- ' h ' -}} i
	{% for m in messages -%}
  {{ m.role }}

  {%- endfor %}
{{ 'end' }}
""", CHAT, {}),
"steps": ("""{%- set ns = namespace(multi=true, last=messages|length - 1, text='') -%}
{%- for m in messages[::-1] -%}
  {%- set index = (messages|length - 1) - loop.index0 -%}
  {%- if ns.multi and m.role == "user" and m.content is string and not (m.content.startswith('<tool>') and m.content.endswith('</tool>')) -%}
    {%- set ns.multi = false -%}{%- set ns.last = index -%}
  {%- endif -%}
{%- endfor -%}
{{ ns.last }}|{{ messages[0].role }}|{{ messages[-1].content }}|{{ (messages[1:])[0]['role'] }}|{{ messages[:1]|length }}
{%- if tools %}
# Tools
  {%- for tool in tools %}
{{ tool | tojson }}
  {%- endfor %}
{%- endif %}
{%- for m in messages %}
  {%- if m.content is string %}{%- set content = m.content %}{%- else %}{%- set content = '' %}{%- endif %}
  {%- if m.role == 'assistant' %}
    {%- set thought = '' %}
    {%- if m.reasoning_content is string %}
      {%- set thought = m.reasoning_content %}
    {%- elif '</think>' in content %}
      {%- set thought = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
      {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
    {%- endif %}
    {%- if loop.last or (not loop.last and thought) %}
[{{ thought.strip('\\n') }}]
    {%- endif %}
{{ content }}
    {%- for call in m.tool_calls %}
      {%- if (loop.first and content) or (not loop.first) %},{% endif %}
      {%- if call.function %}{%- set call = call.function %}{%- endif %}
{"name": "{{ call.name }}", "arguments": {% if call.arguments is string %}{{ call.arguments }}{% else %}{{ call.arguments | tojson }}{% endif %}}
      {%- for k, v in call.arguments|items %} <{{ k }}={{ v | tojson if v is mapping or v is sequence and v is not string else v }}>{% endfor %}
    {%- endfor %}
  {%- elif m.role == "tool" %}
    {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}
<answers>
    {%- endif %}
({{ m.tool_call_id|default('none') }} {{ content|trim|upper }})
    {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
</answers>
    {%- endif %}
  {%- else %}
{{ m.role }}: {{ content|trim }} {{ loop.previtem.role if loop.previtem is defined else '-' }}
  {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
assistant
  {%- if enable_thinking is defined and enable_thinking is false %}
<think></think>
  {%- endif %}
{%- endif %}""", CALLS, {"tools": TOOLS, "enable_thinking": False}),
"dates": ("""{{- bos_token }}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}{%- set date_string = strftime_now("%d %b %Y") %}{%- else %}{%- set date_string = "26 Jul 2024" %}{%- endif %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}{%- set messages = messages[1:] %}
{%- else %}{%- set system_message = "" %}{%- endif %}
{{ date_string }}; {{ strftime_now('%A %-d %B, %H:%M:%S %I%p %j %y %%') }}; {{ system_message }}; {{ messages|length }}
{% for t in tools %}{{ t | tojson(indent=4) }}{{ "\\n\\n" }}{% endfor %}""", CALLS, {"tools": TOOLS, "bos_token": "<s>"}),
"strict": ("""{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}
{%- for m in messages -%}
{%- if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate!') }}{% endif -%}
{{ '[INST] ' ~ m.content ~ ' [/INST]' if m.role == 'user' else m.content ~ eos_token }}
{%- endfor -%}
{{ messages|selectattr('role', 'equalto', 'user')|list|length }} {{ messages|map(attribute='role')|join(', ') }}
{{ messages|rejectattr('role', 'equalto', 'user')|map(attribute='content')|first }}""", CHAT, {"bos_token": "<s>", "eos_token": "</s>"}),
"macros": ("""{%- macro kind(p, required) -%}
  {%- if p.type == "object" -%}{ {%- for name, q in p.properties.items() -%}{{ name }}{{ '' if name in (required or []) else '?' }}: {{ kind(q, q.required) }}{{ ', ' if not loop.last }}{%- endfor -%} }
  {%- elif p.type == "array" -%}{{ kind(p['items']) }}[]
  {%- elif p['type'] in ['integer', 'number'] -%}number{%- else -%}{{ p.type }}{%- endif -%}
{%- endmacro -%}
{%- for tool in tools %}{% set f = tool.function %}{{ f.name }}({{ kind(f.parameters, f.parameters.required) }}) {{ f.get('strict', 'lax') }} {{ f.parameters.keys()|list|join('/') }}
{%- endfor %}
{% for m in messages %}{% if m.role == 'system' %}{% continue %}{% endif %}{% if loop.index > 4 %}{% break %}{% endif %}
{% generation %}{{ m.role }}{% endgeneration %};{% endfor %}""", CALLS, {"tools": TOOLS}),
"characters": ("""{% for c in 'zöé🙂' %}{{ c }}.{% endfor %}{{ 'é🙂x'|length }} {{ 'naïve'[1:4] }} {{ 'a,b,,c'.split(',')|tojson }} {{ ' x '.strip() }}| {{ 'one two'.split()[-1] }}
{{ 'Aa'.lower() ~ 'b'.upper() ~ 'cd ef'|title ~ 'gh'|capitalize }} {{ 'x'.replace('x', 'yy') }} {{ ['b', 'a']|sort|join('+') }} {{ 7 // 2 }} {{ 7 % 4 }} {{ [1, 2, 3][-1] }} {{ range(3)|list }} {{ range(5, 0, -2)|join(' ') }}
{{ 'a\\nb'|indent(2) }} {{ [1, 2]|last }} {{ {'b': 1, 'a': 2}|dictsort|first|join('=') }} {{ 'yes' if 'x' in 'xyz' and 3 in [1, 3] and 'k' in {'k': 0} else 'no' }} {{ 3 is odd }} {{ none is none }} {{ x is undefined }}""", CHAT, {}),
"methods": ("""{% for s in values %}{{ [s.strip(), s.lstrip(), s.rstrip(), s.strip('a '), s.lstrip('xa'), s.rstrip('\n'), s.split(), s.rsplit(), s.split('a'), s.split('a', 1), s.split('a', 0),
 s.rsplit('a', 1), s.split(none, 1), s.rsplit(none, 1), s.split(maxsplit=2), s.rsplit(maxsplit=2), s.splitlines(), s.startswith('a'), s.startswith(('b', 'a')), s.endswith('a'), s.replace('a', 'é'), s.replace('a', '', 1),
 s.find('b'), s.rfind('a'), s.count('a'), s.upper(), s.lower(), s.title(), s.capitalize(), s.removeprefix('a'), s.removesuffix('a'), s.partition('b'), s.rpartition('b'),
 s.isdigit(), s.isalpha(), s.isspace(), s.isalnum(), s.isupper(), s.islower(), ', '.join(s.split('b')), s|trim, s|length] | tojson }}
{% endfor %}""", CHAT, {"values": ["", "a", "b", "abc", "xaxbxa", "  a b  a\n", " \t\n", "É🙂ab a", "a\r\nb\n\nc", "ABC def", "42", "aaa", "héllo wörld a"]}),
"tojson": ("{% for v in values %}{{ v | tojson }}\n{% endfor %}{{ values[1]|tojson(indent=2) }} {{ values[1]|tojson(sort_keys=true) }} {{ values[2]|tojson(ensure_ascii=true) }} "
    "{{ values[1]|tojson(separators=(',', ':')) }} {{ {'b': [1, 'x'], 'a': none}|tojson }}", CHAT, {"values": [None, {"z": 1, "a": {"y": [], "b": {}}, "m": [1, [2, {"k": "v"}]]},
    "é \u2028 🙂 \" \\ / \b\f\n\r\t \x01 \x7f <b>&'", True, 0, -7, 1.0, -0.0, 0.1, 1e-4, 1e-5, 1.5e-7, 1e15, 1e16, 1e22, 123456789012345680.0, 5e-324, "", [], {}, 9007199254740993]}),
}

out = []
for name, (template, messages, extra) in CASES.items():
    for gen in (True, False):
        want = env.from_string(template).render(messages=messages, add_generation_prompt=gen, **extra)
        out.append({"name": name, "template": template, "messages": messages, "extra": extra, "add_generation_prompt": gen, "now": NOW.strftime("%Y-%m-%dT%H:%M:%SZ"), "want": want})
        if "add_generation_prompt" not in template:
            break
json.dump(out, open("templates.json", "w"), ensure_ascii=False, indent=1)
