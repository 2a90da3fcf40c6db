"""Renders conversations by transformers, for the tests of `crates/lm` to compare with.

    python scripts/lm_chat_template_fixtures.py        writes crates/lm/tests/fixtures/chat_template/*.json

Needs transformers 5.24 and the fixture qwen_2.json of scripts/lm_tokenizer_fixtures.py.

conversations.json: `templates`, written in the manner of those that models come with (ChatML of SmolLM2 and Qwen 2.5 and 3,
Llama 3, Gemma 3, Mistral, Zephyr), and for each the conversations it was given, as JSON text since the order of fields counts, with
what `apply_chat_template` made of them or the message it raised. `mask` is the assistant mask of the tokens of qwen_2.json where the
template has generation blocks.

snippets.json: pieces of templates, each for one thing that templates do, and what transformers' environment makes of them.

dates.json: seconds since 1970, formats, and what Python's strftime makes of them in universal time.
"""

import json
from datetime import datetime, timezone
from pathlib import Path

import transformers
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast
from transformers.utils.chat_template_utils import _compile_jinja_template

FIXTURES = Path(__file__).parent.parent / "crates/lm/tests/fixtures"

CHATML = """\
{%- for message in messages %}
    {%- if loop.first and message.role != 'system' %}
        {{- '<|im_start|>system\\nYou are a small model.<|im_end|>\\n' }}
    {%- endif %}
    {%- if message.role == 'assistant' %}
        {{- '<|im_start|>assistant\\n' }}
        {%- generation %}
            {{- message.content + '<|im_end|>\\n' }}
        {%- endgeneration %}
    {%- else %}
        {{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
"""

LLAMA_3 = """\
{{- bos_token }}
{%- if not tools is defined %}{% set tools = none %}{% endif %}
{%- if not date_string is defined %}{% set date_string = '26 Jul 2024' %}{% endif %}
{#- The system message goes into a slot of its own. #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if tools is not none %}
    {{- "Environment: ipython\\n" }}
{%- endif %}
{{- "Today Date: " + date_string + "\\n\\n" }}
{%- if tools is not none %}
    {{- "You have access to the following functions:\\n\\n" }}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\\n\\n" }}
    {%- endfor %}
{%- endif %}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("This model only supports single tool-calls at once!") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' -}}
        {{- '{"name": "' + tool_call.name + '", ' }}
        {{- '"parameters": ' }}
        {{- tool_call.arguments | tojson }}
        {{- "}<|eot_id|>" }}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {{- "<|start_header_id|>ipython<|end_header_id|>\\n\\n" }}
        {%- if message.content is mapping or message.content is iterable %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- "<|eot_id|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""

QWEN_2_5 = """\
{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0]['role'] == 'system' %}
        {{- messages[0]['content'] }}
    {%- else %}
        {{- 'You are a helpful assistant.' }}
    {%- endif %}
    {{- "\\n\\n# Tools\\n\\nSignatures are within <tools></tools> XML tags:\\n<tools>" }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\\n</tools>\\n\\nReturn {\\"name\\": <function-name>, \\"arguments\\": <args-json-object>}<|im_end|>\\n" }}
{%- elif messages[0]['role'] == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>' + message.role }}
        {%- if message.content %}
            {{- '\\n' + message.content }}
        {%- endif %}
        {%- for tool_call in message.tool_calls %}
            {%- if tool_call.function is defined %}
                {%- set tool_call = tool_call.function %}
            {%- endif %}
            {{- '\\n<tool_call>\\n{"name": "' }}
            {{- tool_call.name }}
            {{- '", "arguments": ' }}
            {{- tool_call.arguments | tojson }}
            {{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if (loop.index0 == 0) or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<tool_response>\\n' }}
        {{- message.content }}
        {{- '\\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""

QWEN_3 = """\
{%- set ns = namespace(multi_step=true, last=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step = false %}
        {%- set ns.last = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if message.role == "user" or message.role == "system" %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning = message.reasoning_content %}
        {%- elif '</think>' in content %}
            {%- set reasoning = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {%- if loop.index0 > ns.last and (loop.last or (not loop.last and reasoning)) %}
            {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}"""

GEMMA_3 = """\
{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}
        {%- set first_user_prefix = messages[0]['content'] + '\\n\\n' -%}
    {%- else -%}
        {%- set first_user_prefix = messages[0]['content'][0]['text'] + '\\n\\n' -%}
    {%- endif -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set first_user_prefix = "" -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{%- for message in loop_messages -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception("Conversation roles must alternate user/assistant/user/assistant/...") }}
    {%- endif -%}
    {%- if (message['role'] == 'assistant') -%}
        {%- set role = "model" -%}
    {%- else -%}
        {%- set role = message['role'] -%}
    {%- endif -%}
    {{ '<start_of_turn>' + role + '\\n' + (first_user_prefix if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] -%}
            {%- if item['type'] == 'image' -%}
                {{ '<start_of_image>' }}
            {%- elif item['type'] == 'text' -%}
                {{ item['text'] | trim }}
            {%- endif -%}
        {%- endfor -%}
    {%- else -%}
        {{ raise_exception("Invalid content type") }}
    {%- endif -%}
    {{ '<end_of_turn>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{'<start_of_turn>model\\n'}}
{%- endif -%}
"""

MISTRAL = """\
{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}
{%- set ns = namespace(index=0, tools=[]) %}
{%- for message in loop_messages %}
    {%- if not (message.role == "tool" or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("After the optional system message, conversation roles must alternate user/assistant/user/assistant/...") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if tools is not none and (message == user_messages[-1]) %}
            {{- "[AVAILABLE_TOOLS] [" }}
            {%- for tool in tools %}
                {%- set tool = tool.function %}
                {{- '{"type": "function", "function": {' }}
                {%- for key, val in tool.items() if key != "return" %}
                    {%- if val is string %}
                        {{- '"' + key + '": "' + val + '"' }}
                    {%- else %}
                        {{- '"' + key + '": ' + val|tojson }}
                    {%- endif %}
                    {%- if not loop.last %}
                        {{- ", " }}
                    {%- endif %}
                {%- endfor %}
                {{- "}}" }}
                {%- if not loop.last %}{{- ", " }}{%- else %}{{- "]" }}{%- endif %}
            {%- endfor %}
            {{- "[/AVAILABLE_TOOLS]" }}
        {%- endif %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message.tool_calls is defined and message.tool_calls is not none %}
        {%- set ns.tools = ns.tools + [message.tool_calls[0].function.name] %}
        {{- "[TOOL_CALLS] [" }}
        {%- for tool_call in message.tool_calls %}
            {%- set out = tool_call.function|tojson %}
            {{- out[:-1] }}
            {{- ', "id": "' + tool_call.id + '"}' }}
            {%- if not loop.last %}{{- ", " }}{%- else %}{{- "]" + eos_token }}{%- endif %}
        {%- endfor %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token}}
    {%- elif message["role"] == "tool" %}
        {{- '[TOOL_RESULTS] {"content": ' + message.content|string + ', "calls": "' + ns.tools|join('+') + '"}[/TOOL_RESULTS]' }}
    {%- else %}
        {{- raise_exception("Only user and assistant roles are supported, with the exception of an initial optional system message!") }}
    {%- endif %}
{%- endfor %}
"""

ZEPHYR = """\
{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>
' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>
' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
<|assistant|>
{% generation %}
{{ message['content'] + eos_token }}
{% endgeneration %}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}
"""

DOCUMENTS = """\
{%- macro title(document, index) -%}
[{{ index }}] {{ document.title|upper }}{% if caller is defined %}: {{ caller() }}{% endif %}
{%- endmacro -%}
{%- if documents %}
{%- for document in documents %}
{% call title(document, loop.index) %}{{ document.text|trim }}{% endcall %}

{%- endfor %}
{%- endif %}
{%- for message in messages if message.role != 'system' %}

{{ message.role|capitalize }}: {{ message.content }}
{%- else %}
nothing
{%- endfor %}
{% for name in ['a', 'b', 'c', 'd'] %}{% if name == 'b' %}{% continue %}{% endif %}{% if name == 'd' %}{% break %}{% endif %}{{ name }}{% endfor %}
"""

USER = {"role": "user", "content": "What is 2 + 2?"}
ANSWER = {"role": "assistant", "content": "It is 4. \u2713 \u4f60\u597d"}
SYSTEM = {"role": "system", "content": " You are a pirate. "}
MORE = {"role": "user", "content": "  Und 3 + 3? \U0001F600\n"}
TOOLS = [{
    "type": "function",
    "function": {
        "name": "get_weather", "description": "The weather at a place; \"now\" & <later>.",
        "parameters": {
            "type": "object",
            "properties": {"place": {"type": "string", "description": "Where: Z\u00fcrich"}, "days": {"type": "integer", "default": 1, "minimum": 0.5}},
            "required": ["place"], "additionalProperties": False, "nothing": None}}}]
CALL = {"role": "assistant", "content": "", "tool_calls": [
    {"type": "function", "id": "abc123def", "function": {"name": "get_weather", "arguments": {"place": "Z\u00fcrich", "days": 2, "exact": 1.0, "x": [1, {"b": None, "a": True}]}}}]}
RESULT = {"role": "tool", "name": "get_weather", "content": "21.5 \u00b0C"}
THOUGHT = {"role": "assistant", "content": "<think>\nHm, 2 + 2.\n</think>\n\nFour."}
THOUGHT_2 = {"role": "assistant", "reasoning": "Easy.", "content": "Six."}
BLOCKS = {"role": "user", "content": [{"type": "image", "url": "x"}, {"type": "text", "text": " What is this? "}]}

PLAIN = [[USER], [SYSTEM, USER], [USER, ANSWER, MORE], [SYSTEM, USER, ANSWER, MORE, ANSWER]]
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
CONVERSATIONS = [
    ("chatml", CHATML, TOKENS, [(m, o) for m in PLAIN for o in ({}, {"add_generation_prompt": True})] + [([USER, ANSWER], {"continue_final_message": True})]),
    ("llama_3", LLAMA_3, {"bos_token": "<|begin_of_text|>"}, [(m, {"add_generation_prompt": True}) for m in PLAIN] + [
        ([USER, CALL, RESULT], {"tools": TOOLS, "add_generation_prompt": True}), ([SYSTEM, USER], {"date_string": "1 May 2025"}),
        ([USER, {**CALL, "tool_calls": CALL["tool_calls"] * 2}], {}), ([USER, {"role": "assistant", "content": "It is "}], {"continue_final_message": True})]),
    ("qwen_2_5", QWEN_2_5, {}, [(m, {"add_generation_prompt": True}) for m in PLAIN] + [
        ([SYSTEM, USER, CALL, RESULT, RESULT, ANSWER], {"tools": TOOLS}), ([USER, CALL], {"tools": TOOLS}), ([USER, {"role": "assistant", "content": None, "tool_calls": CALL["tool_calls"]}], {})]),
    ("qwen_3", QWEN_3, {}, [(m, {"add_generation_prompt": True}) for m in PLAIN] + [
        ([USER, THOUGHT], {}), ([USER, THOUGHT, MORE, THOUGHT_2], {}), ([USER], {"add_generation_prompt": True, "enable_thinking": False}),
        ([USER], {"add_generation_prompt": True, "enable_thinking": True})]),
    ("gemma_3", GEMMA_3, {"bos_token": "<bos>"}, [(m, o) for m in PLAIN for o in ({}, {"add_generation_prompt": True})] + [
        ([BLOCKS, ANSWER], {}), ([USER, USER], {}), ([ANSWER], {}), ([{"role": "user", "content": 5}], {}),
        ([BLOCKS, {"role": "assistant", "content": [{"type": "text", "text": "It is a "}]}], {"continue_final_message": True})]),
    ("mistral", MISTRAL, TOKENS, [(m, {}) for m in PLAIN] + [
        ([USER, CALL, RESULT, ANSWER, MORE], {"tools": TOOLS}), ([SYSTEM, USER], {"tools": TOOLS}), ([USER, USER], {}), ([USER, {"role": "pirate", "content": ""}], {})]),
    ("zephyr", ZEPHYR, TOKENS, [(m, o) for m in PLAIN for o in ({}, {"add_generation_prompt": True})]),
    ("documents", DOCUMENTS, {}, [([USER], {"documents": [{"title": "One", "text": " first "}, {"title": "Two", "text": "second"}]}), ([SYSTEM], {}), ([SYSTEM, USER, ANSWER], {})]),
]

CONTEXT = {
    "messages": [{"role": "user", "content": "hi"}], "n": 7, "x": 2.5, "s": "Hello, World", "e": "", "t": True, "f": False, "z": None,
    "l": [3, 1, 2], "m": {"b": 1, "a": [1, 2.0, "q\"'"], "c": None}, "u": "Z\u00fcrich \u4f60 \U0001F600 </s> & \u007f\u0001",
    "words": ["apple", "Pear", "fig"], "rows": [{"k": "a", "v": 1}, {"k": "b", "v": 2}, {"k": "a", "v": 3}],
}
SNIPPETS = [
    "{{ m|tojson }}", "{{ m|tojson(indent=2) }}", "{{ m|tojson(indent=4, sort_keys=true) }}", "{{ u|tojson }}", "{{ u|tojson(ensure_ascii=true) }}",
    "{{ [1, 1.0, 1e20, 1e-7, 0.1, -0.0, 123456789.125]|tojson }}", "{{ [true, false, none, [], {}]|tojson(indent=1) }}", "{{ m|tojson(separators=(',', ':')) }}",
    "{{ [] | tojson }}{{ {} | tojson(indent=4) }}", "{{ {1: 2, none: 3, true: 4, 1.5: 5}|tojson }}", "{{ 'a'|tojson + 'b' }}",
    "{{ t }} {{ f }} {{ z }} {{ n }} {{ x }} {{ e }}|", "{{ l }} {{ m }} {{ words }}", "{{ missing }}|{{ missing is defined }}|{{ m.missing }}|{{ m['missing'] is none }}",
    "{{ s.split(', ') }} {{ s.split() }} {{ s.split('o', 1) }} {{ s.rsplit('o', 1) }}", "{{ s.upper() }} {{ s.lower() }} {{ s.title() }}",
    "{{ '  a '.strip() }}|{{ '  a '.lstrip() }}|{{ '  a '.rstrip() }}|{{ 'xxaxx'.strip('x') }}", "{{ s.startswith('Hell') }} {{ s.endswith(('d', 'x')) }} {{ s.find('o') }} {{ s.rfind('o') }} {{ s.count('l') }}",
    "{{ s.replace('l', 'L') }} {{ s.replace('l', 'L', 1) }} {{ s|replace('o', '0') }}", "{{ ', '.join(words) }} {{ words|join('-') }} {{ l|join }}",
    "{{ s.removeprefix('Hello') }} {{ s.removesuffix('World') }} {{ s.removeprefix('x') }}", "{{ 'a=b=c'.partition('=')[2] }} {{ 'a=b=c'.rpartition('=')[0] }}",
    "{{ '{} and {}'.format(n, s) }} {{ '%s-%d'|format(s, n) }}", "{{ m.items()|list }} {{ m.keys()|list }} {{ m.get('b') }} {{ m.get('q', 9) }} {{ m.get('q') }}",
    "{% for k, v in m.items() %}{{ k }}={{ v }};{% endfor %}", "{{ l[0] }} {{ l[-1] }} {{ l[1:] }} {{ l[::-1] }} {{ s[:5] }} {{ s[-5:] }} {{ s[::2] }}",
    "{{ l|sort }} {{ l|sort(reverse=true) }} {{ words|sort }} {{ l|max }} {{ l|min }} {{ l|sum }} {{ l|length }} {{ l|first }} {{ l|last }}",
    "{{ words|map('upper')|list }} {{ rows|map(attribute='v')|list }} {{ rows|selectattr('k', 'equalto', 'a')|map(attribute='v')|list }} {{ rows|rejectattr('k', 'eq', 'a')|list|length }}",
    "{{ l|select('gt', 1)|list }} {{ l|reject('odd')|list }} {{ [1, 1, 2]|unique|list }} {{ l|reverse|list }}", "{% for g in rows|groupby('k') %}{{ g.grouper }}:{{ g.list|length }} {% endfor %}",
    "{{ n + 1 }} {{ n - 1 }} {{ n * 2 }} {{ n / 2 }} {{ n // 2 }} {{ n % 4 }} {{ n ** 2 }} {{ -n }} {{ 7 / 7 }}", "{{ 'ab' * 3 }} {{ 3 * 'ab' }} {{ '=' * n }}|{{ 'a' ~ 1 ~ none ~ true ~ 2.0 }}",
    "{{ l + [4] }} {{ [1] + [2] + [3] }} {{ (1, 2) }} {{ {'a': 1}['a'] }} {{ [[1, 2], [3]][0][1] }}", "{{ 1 < 2 < 3 }} {{ 1 == 1.0 }} {{ 'a' < 'b' }} {{ l == [3, 1, 2] }} {{ 2 in l }} {{ 9 not in l }} {{ 'ell' in s }} {{ 'b' in m }}",
    "{{ 'yes' if t else 'no' }} {{ 'x' if f }}|{{ (n if n > 5 else 0) + 1 }} {{ t and f or t }} {{ not t }} {{ z or 'd' }} {{ e or 'd' }} {{ n and s }}",
    "{{ missing|default('d') }} {{ e|default('d', true) }} {{ z|default('d') }} {{ z is none }} {{ n is number }} {{ s is string }} {{ l is iterable }} {{ m is mapping }} {{ l is sequence }}",
    "{{ n is odd }} {{ n is even }} {{ n is divisibleby 7 }} {{ n is divisibleby(2) }} {{ n is eq 7 }} {{ n is not none and t is true }} {{ 'A' is upper }} {{ 2 is in l }}",
    "{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set ns = namespace(c=0) %}{% for i in l %}{% set ns.c = ns.c + i %}{% set q = i %}{% endfor %}{{ ns.c }}{{ q is defined }}",
    "{% set block %}  text {{ n }}  {% endset %}{{ block|trim }}|{% set up | upper %}abc{% endset %}{{ up }}", "{% filter upper %}abc {{ s }}{% endfilter %}", "{% with a = 1, b = n %}{{ a + b }}{% endwith %}",
    "{% macro f(a, b=2, c='x') %}[{{ a }}{{ b }}{{ c }}]{% endmacro %}{{ f(1) }}{{ f(1, c=n) }}{{ f(a=l[0], b=m.b) }}", "{% macro g(x) %}<{{ caller(x * 2) }}>{% endmacro %}{% call(y) g(4) %}{{ y + 1 }}{% endcall %}",
    "{% for i in range(3) %}{{ loop.index }}{{ loop.index0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }} {% endfor %}{% for i in [] %}x{% else %}none{% endfor %}",
    "{% for i in l if i > 1 %}{{ i }}{{ loop.previtem }}{{ loop.nextitem }};{% endfor %}", "{% for i in range(10, 0, -3) %}{{ i }} {% endfor %}{{ range(5)|list }}",
    "{% for i in range(10) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 5 %}{% break %}{% endif %}{{ i }}{% endfor %}", "{% for r in rows recursive %}{{ r.k }}{% endfor %}",
    "a\n{% if t %}\nb\n{% endif %}\nc\n  {% if t %}  d\n  {% endif %}\n  e {# comment #}\n{# comment #}\nf\n", "a \n {%- if t -%} \n b \n {%- endif -%} \n c\n\n", "  {%+ if t %}x{% endif +%}\n y\n",
    "{% raw %}{{ not a tag }} {% if %}{% endraw %}|{{ '{{' }}{{ '}}' }}{{ \"{%\" }}", "{{ 'it''s' }}{{ \"a\\n\\tb\\\\\" }}{{ '\\u00e9\\x41' }}", "{{ {'a': {'b': [1, {'c': 2}]}}.a.b[1].c }}{{ m.a[0] }}{{ m['a'][-1] }}",
    "{{ s|length }} {{ s|upper|lower|title }} {{ '  x '|trim }} {{ 'abc'|list }} {{ s|first }} {{ 'a,b'.split(',')|last }} {{ s|capitalize }} {{ '3'|int + 1 }} {{ '2.5'|float }} {{ 2.567|round(1) }} {{ -3|abs }}",
    "{{ s | replace('Hello', 'Bye') | upper }} {{ words | map('length') | list }} {{ m | items | list }} {{ m|dictsort }} {{ l|string + '!' }} {{ 'abc'|reverse }}", "{{ dict(a=1, b=2) }} {{ namespace(a=5).a }}",
    "{{ 'line1\nline2'|indent(2) }} {{ 'line1\nline2'|indent(2, true) }} {{ ['a', 'b']|batch(1)|list }}", "{{ 1 if messages[0].role == 'user' and messages|length > 0 else 2 }}{{ messages[-1]['content'][0] }}{{ (messages|last).role }}",
    "{{ 10 is gt 5 }}{{ 'x' is in ['x', 'y'] }}{{ not (n is odd) }}{{ (l|length - 1) * 2 }}{{ 2 * l|length }}{{ l[l|length - 1] }}{{ -l[0] }}{{ (1, 2) == (1, 2) }}", "{{ [n, s, [l, m]][2][1].b }} {{ {'k' ~ n: s}.k7 }}",
]

FORMATS = ["%d %b %Y", "%A, %d. %B %Y", "%Y-%m-%d %H:%M:%S", "%-d/%-m/%y %I:%M %p", "%j %a %e %%"]
SECONDS = [0, 951782399, 951782400, 1709164800, 1732233599, 1735689599, 4102444800, 4107542400]


def conversations():
    inner = Tokenizer.from_str(json.dumps(json.loads((FIXTURES / "tokenizer/qwen_2.json").read_text())["tokenizer"]))
    out = []
    for name, template, tokens, cases in CONVERSATIONS:
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, chat_template=template)
        rendered = []
        for messages, options in cases:
            case = {"messages": json.dumps(messages, ensure_ascii=False), "options": {k: v for k, v in options.items() if k not in ("tools", "documents")}}
            case |= {k: json.dumps(options[k], ensure_ascii=False) for k in ("tools", "documents") if k in options}
            try:
                case["text"] = tokenizer.apply_chat_template(messages, tokenize=False, **tokens, **options)
                if "generation" in template.replace("add_generation", "") and "continue_final_message" not in options:
                    encoded = tokenizer.apply_chat_template(messages, return_dict=True, return_assistant_tokens_mask=True, **tokens, **options)
                    case |= {"ids": encoded["input_ids"], "mask": encoded["assistant_masks"]}
            except Exception as error:
                case["error"] = str(error)
            rendered.append(case)
        out.append({"name": name, "template": template, "tokens": tokens, "cases": rendered})
    return out


def snippets():
    out = []
    for source in SNIPPETS:
        try:
            out.append({"template": source, "text": _compile_jinja_template(source).render(**CONTEXT)})
        except Exception as error:
            print(f"left out: {source!r}: {error!r}")
    return {"context": json.dumps(CONTEXT, ensure_ascii=False), "snippets": out}


def dates():
    return [[s, f, datetime.fromtimestamp(s, timezone.utc).strftime(f)] for s in SECONDS for f in FORMATS]


if __name__ == "__main__":
    folder = FIXTURES / "chat_template"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in [("conversations", conversations()), ("snippets", snippets()), ("dates", dates())]:
        path = folder / f"{name}.json"
        path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n")
        print(f"{path.name}: {path.stat().st_size} bytes, transformers {transformers.__version__}")
