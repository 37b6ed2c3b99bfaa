#!/usr/bin/env python3
"""Writes null_calls.inc: a call of every public function for each of its pointers that is NULL.

The public headers are the only list of functions, so that a new function is tried with NULL from its
first day. The comment of a parameter says what NULL does there; the call is judged by that word:

- "Not NULL", or no word about NULL: the function returns MF_ERR_INVALID_ARGUMENT, and the error's text
  names the parameter. A function that returns no status only has to come back.
- "NULL gives X": the function returns X.
- any other word about NULL ("NULL for defaults"): the function comes back.

A struct of options whose struct_size no version has is refused by every function that takes one.

usage: make_calls.py OUT HEADER...
"""
import re
import sys

# Parameters whose valid value is not told by the type alone: (function or *, parameter) -> C.
BY_NAME = {
    ("*", "function"): '"echo"', ("*", "path"): "at->path", ("*", "id"): '"service"',
    ("mf_log_parse_level", "text"): '"warn"', ("mf_value_from_json", "text"): '"1"',
    ("*", "futures"): "futures(at)", ("*", "count"): "1", ("*", "value_count"): "1",
    ("*", "length"): "1", ("*", "size"): "1", ("*", "field_count"): "1", ("*", "port"): "4000",
    ("*", "code"): "7", ("*", "fd"): "2", ("*", "level"): "MF_LOG_INFO", ("*", "pairs"): "0",
    ("*", "bytes"): '"\\x01"', ("*", "storage"): "at->storage", ("*", "user_data"): "at",
    ("*", "component"): '"component"', ("*", "measurement"): '"measurement"',
    ("mf_parent_endpoint", "size"): "sizeof at->text", ("mf_parent_last_exit", "size"): "sizeof at->text",
    ("mf_family_gauge", "family"): "at->gauges", ("mf_family_histogram", "family"): "at->histograms",
    ("mf_family_window", "family"): "at->windows", ("mf_family_info", "family"): "at->infos",
    ("mf_parent_stop", "parent"): "fresh_parent(at)", ("mf_parent_start", "parent"): "fresh_parent(at)",
    ("mf_parent_start_async", "parent"): "fresh_parent(at)",
    ("mf_parent_restart", "parent"): "fresh_parent(at)",
    ("mf_pool_stop", "pool"): "fresh_pool(at)", ("mf_pool_start", "pool"): "fresh_pool(at)",
    ("mf_metrics_add", "options"): "&at->metric_options",
}
# A valid value of each type.
BY_TYPE = {
    "mf_parent *": "at->parent", "mf_pool *": "at->pool", "const mf_pool *": "at->pool",
    "mf_runtime *": "at->runtime", "const mf_probe *": "mf_runtime_probe(at->runtime)",
    "mf_logger *": "mf_runtime_logger(at->runtime)", "const mf_logger *": "mf_runtime_logger(at->runtime)",
    "mf_metrics *": "at->metrics", "mf_family *": "at->counters", "mf_registry *": "at->registry",
    "mf_counter *": "mf_family_counter(at->counters, at->labels)",
    "mf_gauge *": "mf_family_gauge(at->gauges, at->labels)",
    "mf_histogram *": "mf_family_histogram(at->histograms, at->labels)",
    "mf_window *": "mf_family_window(at->windows, at->labels)",
    "const char *const *": "at->labels", "mf_result *": "result(at)", "mf_future *": "future(at)",
    "const mf_future *": "future(at)", "mf_child *": "child(at)", "mf_request *": "at->request",
    "const mf_request *": "at->request", "mf_reply *": "at->reply", "mf_deferred *": "mf_reply_defer(at->reply)",
    "const char *": '"text"', "const mf_value *": "&at->value", "mf_value": "at->value",
    "mf_args": "(mf_args){&at->value, 1}", "const mf_out *": "&at->out", "mf_out": "at->out",
    "const mf_log_field *": "&at->field", "const mf_error *": "&at->error",
    "mf_error *": "&at->error", "const mf_context *": "&at->context",
    "mf_context *": "&at->context", "const mf_health_check *": "&at->check",
    "mf_ext_writer *": "NULL", "const char **": "&at->ret_text", "double": "1.0", "char *": "at->text", "mf_http *": "NULL", "const mf_http *": "NULL",
    "const mf_admin *": "NULL", "mf_admin *": "NULL", "mf_document *": "NULL",
}
SCALARS = ("int", "int32_t", "int64_t", "uint8_t", "uint16_t", "uint32_t", "uint64_t", "size_t", "int8_t",
           "bool", "mf_status", "mf_type", "mf_log_level", "mf_log_format", "mf_metrics_format")
# Calls that are not made, each with its reason.
SKIPPED = {
    ("mf_child_run", "error"): "runs until a signal",
}


def functions(path):
    """All functions of a header: name, return type, [(type, name)], comment."""
    text = open(path, encoding="utf-8").read()
    comment, found = "", []
    for part in re.finditer(r"/\*\*(.*?)\*/|^MF_API\s+([^;]*?);", text, re.S | re.M):
        if part[1] is not None:
            comment = " ".join(line.strip().lstrip("*").strip() for line in part[1].split("\n"))
            continue
        words = " ".join(part[2].replace("MF_NODISCARD", "").split())
        head = re.match(r"(.*?)(mf_\w+)\((.*?)\)(?: MF_PRINTF\(.*\))?$", words)
        if not head:
            raise SystemExit(f"{path}: cannot read the function: {words}")
        found.append((head[2], head[1].strip(), parameters(head[3]), comment))
    return found


def parameters(text):
    pairs = []
    for one in text.split(","):
        one = one.strip()
        if one in ("void", "..."):
            continue
        kind, name = re.match(r"(.*?)(\w+)$", one).groups()
        pairs.append((kind.strip(), name))
    return pairs


# What a program passes on, and where a function puts its error: NULL in both is always allowed.
ALWAYS_OPTIONAL = ("user_data", "error")


# As the fixture names them: no bytes, one byte, all bytes there are, more than is known and not zero.
WILD = ("WILD_NONE", "WILD_ONE", "WILD_HUGE", "WILD_MORE", "WILD_FAR")


def words_of(name, comment, comments, depth=0):
    """What a comment says about a parameter; a parameter "as for f()" is looked up there."""
    said = re.search(r"@param " + name + r"\b(.*?)(?=@param|@return|@par\b|$)", comment)
    text = said[1].strip() if said else ""
    if "NULL" not in text:
        other = re.search(r"[Aa]s (?:for )?(mf_\w+)\(\)", comment)
        if other and other[1] in comments and depth < 3:
            further = words_of(name, comments[other[1]], comments, depth + 1)
            text = further if "NULL" in further else text
    return text


def is_pointer(kind):
    return "*" in kind or kind.endswith("_fn")


def valid(function, kind, name):
    for key in ((function, name), ("*", name)):
        if key in BY_NAME:
            return BY_NAME[key]
    if kind in BY_TYPE:
        return BY_TYPE[kind]
    if kind.removeprefix("const ") in BY_TYPE:
        return BY_TYPE[kind.removeprefix("const ")]
    if kind in SCALARS:
        return "0"
    if kind.endswith("_fn"):
        return "on_" + kind[3:-3]
    pair = re.match(r"(const )?mf_(\w+?)_(options|codec) \*$", kind)
    if pair:
        return f"&at->{pair[2]}_{pair[3]}"
    pair = re.match(r"(const )?(?:mf_)?(\w+) (\*+)(const \*)?$", kind)
    if pair and name.startswith("ret_"):
        return f"&at->{'ret' if pair[3] == '**' else 'got'}_{pair[2]}"
    raise SystemExit(f"make_calls.py: say how to make a valid {kind} for {function}({name})")


def case(function, kinds, returns, nulls, said):
    """One call, and how it is judged."""
    args = ", ".join("NULL" if name in nulls else valid(function, kind, name) for kind, name in kinds)
    call = f"{function}({args})"
    gives = re.search(r"NULL gives (\"\"|[-\w.\"]+)", said)
    optional = "NULL" in said and not re.search(r"\b[Nn]ot NULL", said)
    names = [nulls[0]] if len(nulls) == 1 else []
    with_error = "error" in [name for _, name in kinds] and "error" not in nulls
    if returns == "mf_status":
        if gives and gives[1].startswith("MF_ERR"):
            return f"wants(at, {call}, {gives[1].rstrip('.')}, NULL);"
        if optional:
            return f"comes_back(at, {call});"
        text = f'"{names[0]}"' if names and with_error else "NULL"
        return f"wants(at, {call}, MF_ERR_INVALID_ARGUMENT, {text});"
    if returns == "void":
        return f"{call};"
    if gives and returns == "const char *":
        want = gives[1].rstrip(".")
        return f"wants_text(at, {call}, {want});" if want == '""' or want == "NULL" or want[0] == '"' \
            else f"(void){call};"
    if gives and returns == "const mf_value *":
        return f"wants_nil(at, {call});" if gives[1].startswith("nil") else f"wants_true(at, {call} == NULL);"
    if gives and returns == "mf_args":
        return f"wants_true(at, {call}.count == 0);"
    if gives and returns == "mf_value":
        return f"wants_true(at, {call}.type == MF_TYPE_NIL);"
    if gives:
        return f"wants_true(at, {call} == {gives[1].rstrip('.')});"
    return f"(void){call};"


# Structs of options within others: function, the struct that has them, member, their type.
NESTED = [("mf_call_with", "call_options", "retry", "retry_policy"),
          ("mf_call_async", "call_options", "retry", "retry_policy"),
          ("mf_call_future", "call_options", "retry", "retry_policy"),
          ("mf_pool_call_with", "call_options", "retry", "retry_policy"),
          ("mf_pool_create", "pool_options", "parent", "parent_options"),
          ("mf_runtime_create", "runtime_options", "health", "health_options")]
SIZED = re.compile(r"const mf_\w+_(?:options|codec|check) \*$")


def wild_cases(function, kinds):
    """Calls with a struct_size that is wrong: (name, lines)."""
    args = [valid(function, kind, name) for kind, name in kinds]
    bodies = []
    for at, (kind, name) in enumerate(kinds):
        if SIZED.match(kind):
            for wild in WILD:
                given = args[:at] + [f"wild(at, {args[at]}, sizeof *{args[at]}, {wild})"] + args[at + 1:]
                bodies.append((f"{function}({name}, {wild})", [
                    f"wants(at, {function}({', '.join(given)}), MF_ERR_INVALID_ARGUMENT, \"{kind[6:-2]}\");"]))
    for owner, struct, member, kind in NESTED:
        if owner == function:
            for wild in WILD:
                bodies.append((f"{function}({struct}.{member}, {wild})", [
                    f"at->{struct}.{member} = wild(at, &at->{kind}, sizeof at->{kind}, {wild});",
                    f"wants(at, {function}({', '.join(args)}), MF_ERR_INVALID_ARGUMENT, \"mf_{kind}\");",
                    f"at->{struct}.{member} = at->usual_{member};"]))
    return bodies


def main():
    out, headers = sys.argv[1], sys.argv[2:]
    every = [one for path in headers for one in functions(path)]
    comments = {}
    for name, _, _, comment in every:
        comments[name] = comment
    lines, table = ["/* Written by make_calls.py from the public headers. */"], []
    for function, returns, kinds, comment in every:
        pointers = [name for kind, name in kinds if is_pointer(kind)]
        sets = [[name] for name in pointers] + ([pointers] if len(pointers) > 1 else [])
        inside = any(re.search(r"mf_(request|reply|deferred) \*", kind) for kind, _ in kinds)
        for nulls in sets:
            if SKIPPED.get((function, nulls[-1])) and len(nulls) == 1:
                continue
            # "All at once" is judged by the first pointer that must not be NULL.
            said = [words_of(name, comment, comments) if name not in ALWAYS_OPTIONAL or function == "mf_error_text"
                    else "NULL"
                    for name in nulls]
            strict = [s for s in said if "NULL" not in s or re.search(r"\b[Nn]ot NULL", s)]
            body = case(function, kinds, returns, nulls, (strict or said)[0])
            if len(nulls) > 1 and strict and any(re.search("NULL gives MF_ERR_TYPE", s) for s in said):
                body = f"comes_back(at, {function}({', '.join('NULL' if n in nulls else valid(function, k, n) for k, n in kinds)}));"
            number = len(table)
            lines += [f"static void case_{number}(fixture *at)", "{", "    (void)at;", f"    {body}", "}"]
            name = nulls[0] if len(nulls) == 1 else "all"
            table.append(f'    {{"{function}({name})", case_{number}, {str(inside).lower()}}},')
        for name, body in wild_cases(function, kinds):
            lines += [f"static void case_{len(table)}(fixture *at)", "{"]
            lines += [f"    {line}" for line in body] + ["}"]
            table.append(f'    {{"{name}", case_{len(table)}, false}},')
    lines += ["static const null_case cases[] = {"] + table + ["};"]
    text = "\n".join(lines) + "\n"
    with open(out, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    main()
