"""Which families, labels and words an expression of Prometheus names that docs/metrics.md does not
have. It exists because Prometheus takes a wrong name for a series that is not there yet: a panel
stays empty, an alert never fires, and nobody is told."""

import re

AGGREGATORS = {"sum", "min", "max", "avg", "count", "group", "stddev", "stdvar", "topk", "bottomk", "quantile"}
FREE = {"job", "instance", "__name__"}  # of every series that is scraped
TOKEN = re.compile(r"\s*(?:(?P<string>\"(?:[^\"\\]|\\.)*\"|'[^']*')|(?P<range>\[[^\]]*\])|(?P<name>[a-zA-Z_:$][\w:$]*)"
                   r"|(?P<number>[\d.]+\w*)|(?P<sign>=~|!~|!=|==|>=|<=|[-+*/%^<>=(){},@]))")
SELECTOR = re.compile(r"(?<![\w:])(multifrost_\w*[a-z]|(?:process|rpc)_\w*[a-z](?=\{)|target_info)(\{[^}]*\})?(?![\w*])")
MATCHER = re.compile(r"(\w+)\s*(?:(=~|!~|!=|=)\s*\"((?:[^\"\\]|\\.)*)\")?")


class Family:
    def __init__(self, kind, labels):
        self.kind = kind
        self.labels = labels  # name: its words, or None where names are the values


def read_page(page):
    """The families of docs/metrics.md."""
    found = {}
    for name, kind, labels in re.findall(r"^\| `(\w+)` \| (\w+) \| [\w-]+ \| ([^|]*) \|", page, re.MULTILINE):
        words = re.findall(r"`(\w+)`(?:: ([\w, ]+))?", labels)
        found[name] = Family(kind, {label: set(listed.split(", ")) if listed else None for label, listed in words})
    return found


def labels_of(name, families):
    """Labels of the series with this name; None if there is no such series."""
    base = re.sub(r"_(bucket|sum|count)$", "", name)
    if name in families:
        return families[name].labels | ({"quantile": None} if families[name].kind == "summary" else {})
    if base in families and families[base].kind in ("histogram", "summary") and not (name.endswith("_bucket") and families[base].kind == "summary"):
        return families[base].labels | ({"le": None} if name.endswith("_bucket") else {})
    return None


def wrong_words(name, label, sign, value, words):
    if words is None or "$" in value or value == "":
        return []
    if sign in ("=", "!="):
        return [] if value in words else [f"{name}: {label} is never '{value}'"]
    if re.fullmatch(r"[\w|]+", value):
        return [f"{name}: {label} is never '{word}'" for word in value.split("|") if word not in words]
    return [] if any(re.fullmatch(value, word) for word in words) else [f"{name}: no {label} matches '{value}'"]


def wrong_matchers(name, text, labels):
    wrong = []
    for label, sign, value in MATCHER.findall(text):
        if label not in labels and label not in FREE:
            wrong.append(f"{name} has no label {label}")
        elif sign:
            wrong += wrong_words(name, label, sign, value, labels.get(label))
    return wrong


def wrong_selectors(text, families):
    """Of prose, whose selectors stand between other words; `{label}` may stand for any value."""
    wrong = []
    for name, matchers in SELECTOR.findall(text):
        labels = labels_of(name, families)
        if labels is None:
            wrong.append(f"no series {name}")
        elif matchers:
            wrong += wrong_matchers(name, matchers, labels)
    return wrong


class Expression:
    """One pass over an expression. Each part gives the labels that its result can have; None means
    that they are not known, as those of a recorded series."""

    def __init__(self, text, families, recorded):
        self.families, self.recorded, self.wrong = families, recorded, []
        self.tokens, at = [], 0
        text = text.strip()
        while at < len(text):
            found = TOKEN.match(text, at)
            if found is None:
                self.wrong.append(f"cannot be read: {text[at:at + 20]}")
                break
            self.tokens.append((found.lastgroup, found.group(found.lastgroup)))
            at = found.end()
        self.at = 0

    def peek(self):
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")

    def take(self):
        token = self.peek()
        self.at += 1
        return token

    def names(self):
        """( name, ... )"""
        found = []
        if self.peek()[1] == "(":
            self.take()
            while self.peek()[1] not in (")", ""):
                kind, text = self.take()
                found += [text] if kind == "name" else []
            self.take()
        return found

    def join(self, one, other):
        return None if one is None or other is None else one | other

    def need(self, names, labels, where):
        if labels is not None:
            self.wrong += [f"{where}: no series there has the label {name}" for name in names if name not in labels | FREE]

    def whole(self):
        labels = self.terms()
        if self.peek()[0] != "end":
            self.wrong.append(f"cannot be read from '{self.peek()[1]}' on")
        return labels

    def terms(self):
        labels, matched = set(), []
        while self.peek()[1] not in (")", ",", ""):
            kind, text = self.take()
            if text in ("on", "ignoring", "group_left", "group_right"):
                matched += self.names()
            elif text == "(":
                labels = self.join(labels, self.arguments())
            elif text == "{":
                self.skip_matchers()
                labels = None
            elif text in ("offset", "and", "or", "unless", "bool") or kind != "name" or text.lower() in ("inf", "nan"):
                pass
            else:
                labels = self.join(labels, self.named(text))
        self.need(matched, labels, "on")
        return labels

    def arguments(self):
        """Behind the open bracket, up to the closed one."""
        labels = set()
        while True:
            labels = self.join(labels, self.terms())
            if self.take()[1] != ",":
                return labels

    def named(self, name):
        if name in AGGREGATORS and self.peek()[1] in ("(", "by", "without"):
            return self.aggregate(name)
        if name == "label_values" and self.peek()[1] == "(":
            return self.label_values()
        if self.peek()[1] == "(":
            self.take()
            labels = self.arguments()
            return None if name in ("label_replace", "label_join") else labels
        return self.select(name)

    def aggregate(self, name):
        clause, listed = "", []
        if self.peek()[1] in ("by", "without"):
            clause, listed = self.take()[1], self.names()
        self.take()
        labels = self.arguments()
        if self.peek()[1] in ("by", "without"):
            clause, listed = self.take()[1], self.names()
        self.need(listed, labels, f"{name} {clause}")
        if clause == "by":
            return set(listed)
        if clause == "without" or name in ("topk", "bottomk"):
            return labels
        return set()

    def label_values(self):
        """Of Grafana: label_values(selector, label)."""
        self.take()
        labels = self.terms()
        if self.take()[1] == ",":
            self.need([self.take()[1]], labels, "label_values")
            self.take()
        return set()

    def skip_matchers(self):
        found = []
        while self.peek()[1] not in ("}", ""):
            found.append(self.take()[1])
        self.take()
        return " ".join(found)

    def select(self, name):
        labels = labels_of(name, self.families)
        is_known = labels is not None or name == "up" or name in self.recorded
        if not is_known:
            self.wrong.append(f"no series {name}")
        if self.peek()[1] == "{":
            self.take()
            matchers = self.skip_matchers()
            if labels is not None:
                self.wrong += wrong_matchers(name, matchers, labels)
        return set(labels) if labels is not None else None


def wrong_names(expression, families, recorded=()):
    """Of one expression: what it names and no program has."""
    read = Expression(expression, families, recorded)
    read.whole()
    return read.wrong


def expressions_of_json(item):
    """Of a Grafana dashboard: those of panels, annotations and variables. What asks Loki is no PromQL."""
    found = []
    if isinstance(item, list):
        for each in item:
            found += expressions_of_json(each)
    if isinstance(item, dict) and (item.get("datasource") or {}).get("type") != "loki":
        for key, value in item.items():
            if isinstance(value, str) and (key == "expr" or (key in ("query", "definition") and "(" in value)):
                found.append(value)
            else:
                found += expressions_of_json(value)
    return found


def expressions_of_rules(text):
    """Of a file of rules or their tests: the expressions, and the names of the recorded series."""
    lines = text.splitlines()
    found = []
    for at, line in enumerate(lines):
        begin = re.match(r"([\s-]*)(expr|query):\s*(.*)$", line)
        if begin is None or line.lstrip().startswith("#"):
            continue
        value = begin.group(3)
        if re.fullmatch(r"[|>][-+]?", value):
            block = []
            for below in lines[at + 1:]:
                if below.strip() and len(below) - len(below.lstrip()) <= len(begin.group(1)):
                    break
                block.append(below.strip())
            value = " ".join(block)
        elif len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1].replace("''", "'") if value[0] == "'" else value[1:-1].replace('\\"', '"')
        found.append(value)
    return found, set(re.findall(r"^[\s-]*record:\s*(\S+)", text, re.MULTILINE))
