"use strict";
// The status page: asks the service every two seconds, and shows its answers. Every text of the
// service goes through textContent, so none of it is ever markup.

const POLL_MS = 2000;
const PATIENCE_MS = 8000; // for one answer
const RECENT_MS = 10 * 60 * 1000; // a crash or a restart is told under "now" for so long
const PHASES = ["send_wait", "wire", "peer_queue", "handler", "receive_wait"];

const $ = (id) => document.getElementById(id);

function make(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function draw(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// ---- Words ----

const isKnown = (number) => typeof number === "number" && Number.isFinite(number);

function whole(number) {
  return isKnown(number) ? Math.round(number).toLocaleString("en") : "";
}

function short(number, digits = 3) {
  if (!isKnown(number)) return "–";
  if (number >= 1000) return whole(number);
  return String(Number(number.toPrecision(digits)));
}

function percent(share) {
  if (!isKnown(share)) return "–";
  return share === 0 ? "0 %" : share < 0.0001 ? "< 0.01 %" : `${short(share * 100, 3)} %`;
}

// How long a call took.
function took(seconds) {
  if (!isKnown(seconds)) return "–";
  if (seconds < 0.001) return `${short(seconds * 1e6)} µs`;
  return seconds < 1 ? `${short(seconds * 1e3)} ms` : `${short(seconds)} s`;
}

// How long something has lasted.
function lasted(seconds) {
  if (!isKnown(seconds)) return "–";
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

function bytes(number) {
  if (!isKnown(number)) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  for (; number >= 1024 && at < units.length - 1; at++) number /= 1024;
  return `${short(number)} ${units[at]}`;
}

// The time of day; with the date if that is not today's.
function clock(time) {
  const at = new Date(time);
  const two = (n) => String(n).padStart(2, "0");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} `;
  const isToday = at.toDateString() === new Date().toDateString();
  return `${isToday ? "" : day}${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

const sentence = (text) => (/[.!?]$/.test(text) ? text : `${text}.`);
const words = (text) => String(text || "").replaceAll("_", " ");

// ---- Tables ----

// A column is {head, text(row)} or {head, node(row)}; isNumber puts it to the right.
function cellOf(column, isFirst) {
  const cell = make(isFirst ? "th" : "td", { role: isFirst ? "rowheader" : "cell", "data-label": column.head });
  if (isFirst) cell.scope = "row";
  if (column.isNumber) cell.classList.add("n");
  if (column.isWide) cell.classList.add("wide");
  if (column.isShort) cell.classList.add("t");
  return cell;
}

function newTable(caption, columns) {
  const heads = columns.map((column) =>
    make("th", { scope: "col", role: "columnheader", class: column.isNumber ? "n" : "" }, column.head));
  const table = make("table", { role: "table" }, make("caption", {}, caption),
    make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...heads)),
    make("tbody", { role: "rowgroup" }));
  return table;
}

// Changes only what differs, so that a selection and a screen reader keep their place.
function fillCell(cell, column, row) {
  if (column.node) {
    cell.replaceChildren(column.node(row));
    return;
  }
  const text = column.text(row);
  cell.classList.toggle("is-empty", text === "" || text === "–");
  if (column.level) {
    if (!cell.firstChild) cell.append(make("span", { class: "pill" }));
    cell.firstChild.dataset.level = column.level(row);
  }
  setText(column.level ? cell.firstChild : cell, text);
}

function showTable(id, caption, columns, rows, none) {
  const place = $(id);
  if (rows.length === 0) {
    if (!place.querySelector(".empty")) place.replaceChildren(make("p", { class: "empty" }));
    setText(place.querySelector(".empty"), none);
    return;
  }
  let table = place.querySelector("table");
  if (!table) {
    table = newTable(caption, columns);
    place.replaceChildren(make("div", { class: "scroll" }, table));
  }
  setText(table.caption, caption);
  const body = table.tBodies[0];
  while (body.rows.length > rows.length) body.lastChild.remove();
  rows.forEach((row, i) => {
    if (i >= body.rows.length) {
      body.append(make("tr", { role: "row" }, ...columns.map((column, c) => cellOf(column, c === 0))));
    }
    columns.forEach((column, c) => fillCell(body.rows[i].cells[c], column, row));
  });
}

// ---- Lines ----

function linePath(values, height, x, y) {
  let path = "";
  let pen = false;
  values.forEach((value, i) => {
    if (!isKnown(value)) {
      pen = false;
      return;
    }
    path += `${pen ? "L" : "M"}${x(i).toFixed(1)} ${y(value).toFixed(2)}`;
    // A point with no neighbour is a short stroke.
    if (!pen && !isKnown(values[i + 1])) path += "h1";
    pen = true;
  });
  return path;
}

function niceTop(most) {
  const unit = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((n) => n * unit).find((top) => top >= most * 0.9999);
}

function linearScale(most, format) {
  const top = niceTop(most > 0 ? most : 1);
  return { y: (v) => 100 - (v / top) * 100, marks: [0, top / 2, top].map((v) => [v, format(v)]) };
}

function logScale(least, most, format) {
  const from = Math.floor(Math.log10(least));
  const to = Math.max(from + 1, Math.ceil(Math.log10(most)));
  const step = Math.ceil((to - from) / 4);
  const marks = [];
  for (let e = from; e <= to; e += step) marks.push([10 ** e, format(10 ** e)]);
  return { y: (v) => 100 - ((Math.log10(v) - from) / (to - from)) * 100, marks };
}

const SPANS_MIN = [5, 15, 30, 60]; // how long a time the chart is wide

// series: [{name, values, now}]. The newest point is at the right.
function showChart(id, title, series, scaleOf, step) {
  const known = series.flatMap((one) => one.values.filter(isKnown));
  const count = series[0].values.length;
  const minutes = SPANS_MIN.find((span) => count * step <= span * 60) || SPANS_MIN.at(-1);
  const slots = Math.round((minutes * 60) / step);
  const scale = scaleOf(known);
  const x = (i) => ((slots - count + i) / (slots - 1)) * 1000;
  const svg = draw("svg", { class: "chart", viewBox: "0 0 1000 100", preserveAspectRatio: "none", role: "img",
    "aria-label": `${title}, the last ${minutes} min: ${series.map((one) => `${one.name} now ${one.now}`).join(", ")}` });
  const plot = make("div", { class: "plot" });
  for (const [value, text] of scale.marks) {
    const y = scale.y(value);
    svg.append(draw("line", { x1: 0, x2: 1000, y1: y, y2: y }));
    const label = make("span", { class: "y", "aria-hidden": "true" }, text);
    label.style.top = `${(y / 100) * 8.5}rem`;
    plot.append(label);
  }
  series.forEach((one, i) => {
    svg.append(draw("path", { d: linePath(one.values, 100, x, scale.y), class: `c${i + 1}` }));
  });
  plot.append(svg, make("span", { class: "from", "aria-hidden": "true" }, minutes === 60 ? "1 h ago" : `${minutes} min ago`),
    make("span", { class: "to", "aria-hidden": "true" }, "now"));
  $(id).replaceChildren(plot);
  const keys = series.map((one, i) => make("span", { class: `key c${i + 1}` }, make("span", {}, `${one.name} ${one.now}`)));
  $(`${id}-text`).replaceChildren(make("b", {}, title), make("br"), ...keys);
}

function showTraffic(overview) {
  const history = overview.history;
  const isIdle = overview.targets.length === 0;
  $("charts").hidden = isIdle;
  setText($("traffic-note"), isIdle ? "This process has made no calls. Those that it answers are below."
    : `One point each 10 s; latency is that of the 60 s before a point.${overview.targets_left_out > 0 ? ` ${overview.targets_left_out} more targets have no line of their own.` : ""}`);
  if (isIdle) return;
  const step = history.step_seconds;
  const calls = history.calls_per_second;
  const share = (part) => part.map((n, i) => (isKnown(n) && calls[i] > 0 ? n / calls[i] : null));
  const newest = (values, format) => format(values.findLast(isKnown));
  const line = (name, values, format) => ({ name, values, now: newest(values, format) });
  const perSecond = (n) => (isKnown(n) ? `${short(n)}/s` : "–");
  showChart("chart-calls", "Calls per second", [line("calls", calls, perSecond)],
    (known) => linearScale(Math.max(0, ...known), short), step);
  showChart("chart-errors", "Share of calls that went wrong",
    [line("failed", share(history.errors_per_second), percent),
      line("app errors", share(history.app_errors_per_second), percent)],
    (known) => linearScale(Math.max(0.001, ...known), percent), step);
  const latency = [["p50", history.p50_seconds], ["p95", history.p95_seconds], ["p99", history.p99_seconds]];
  showChart("chart-latency", "Latency (logarithmic)", latency.map(([name, values]) => line(name, values, took)),
    (known) => {
      const above = known.filter((v) => v > 0);
      return logScale(above.length ? Math.min(...above) : 0.001, above.length ? Math.max(...above) : 0.1, took);
    }, step);
}

// Keeps the choice while targets come and go.
function showTargets(overview) {
  const select = $("target");
  const names = overview.targets.map((row) => row.target);
  const shown = [...select.options].slice(1).map((option) => option.value);
  if (names.join("\n") !== shown.join("\n")) {
    const chosen = select.value;
    select.replaceChildren(make("option", { value: "" }, "all targets"),
      ...names.map((name) => make("option", { value: name }, name)));
    select.value = names.includes(chosen) ? chosen : "";
  }
}

// ---- Tables of the service ----

const state = { last: null, answeredAt: 0, silentSince: 0, refusal: "", restartedAt: 0, startTime: null, firstSeen: new Map(), rates: new Map() };

function showFunctions(overview) {
  const share = (row, part) => (row.calls > 0 ? `${whole(part)} (${percent(part / row.calls)})` : whole(part));
  const columns = [
    { head: "Function", isShort: true, text: (row) => row.function },
    { head: "Target", isShort: true, text: (row) => row.target },
    { head: "Seen by", isShort: true, text: (row) => row.seen_by },
    { head: "Calls", isNumber: true, text: (row) => whole(row.calls) },
    { head: "Failed", isNumber: true, text: (row) => share(row, row.errors) },
    { head: "App errors", isNumber: true, text: (row) => share(row, row.app_errors) },
    { head: "p50", isNumber: true, text: (row) => took(row.p50_seconds) },
    { head: "p95", isNumber: true, text: (row) => took(row.p95_seconds) },
    { head: "p99", isNumber: true, text: (row) => took(row.p99_seconds) },
  ];
  const rows = [...overview.functions].sort((a, b) =>
    a.seen_by.localeCompare(b.seen_by) || a.target.localeCompare(b.target) || a.function.localeCompare(b.function));
  const more = overview.functions_left_out > 0 ? "; some functions found no room here: /metrics has them" : "";
  showTable("functions-table", `Since the start of the service${more}`, columns, rows, "No function has been called yet.");
}

const circuitLevels = { closed: "good", open: "bad", half_open: "warn", forced_open: "bad", disabled: "warn" };
const workerLevels = { ready: "good", failed: "bad", stopped: "none", created: "none" };
const ruleWords = { consecutive_failures: "failures in a row", failure_ratio: "share of failed calls",
  slow_ratio: "share of slow calls", heartbeat: "missed heartbeats", process_exit: "its process ended", handler_timeout: "a handler ran too long",
  disconnected: "the connection ended" };
// By its options a circuit may have no rules: then nothing is wrong with it.
const hasNoRules = (circuit) => circuit.state === "disabled" && circuit.config.consecutive_failures === 0;
const ruleOf = (rule) => ruleWords[rule] || words(rule);
const ofRule = (rule, number) => (/ratio/.test(rule) ? percent(number) : short(number));

// What the rule looks at while the circuit is closed.
function watched(circuit) {
  const config = circuit.config;
  const parts = [];
  if (config.consecutive_failures) parts.push(`${circuit.consecutive_failures} of ${config.consecutive_failures} failures in a row`);
  if (config.failure_ratio) parts.push(`${percent(circuit.window.failure_ratio)} of ${percent(config.failure_ratio)} failed`);
  if (config.slow_ratio) parts.push(`${percent(circuit.window.slow_ratio)} of ${percent(config.slow_ratio)} slow`);
  return parts.join("; ");
}

// Where there is no threshold, the number is a code, and the text says what it means.
function valueOf(reason) {
  if (!reason) return "";
  return isKnown(reason.threshold) ? ofRule(reason.rule, reason.observed) : reason.text || short(reason.observed);
}

function nextOf(circuit) {
  if (circuit.state === "open") {
    return circuit.next_probe_in_seconds > 0 ? `a probe in ${lasted(circuit.next_probe_in_seconds)}` : "the next call is a probe";
  }
  if (circuit.state === "half_open") {
    const probes = circuit.half_open;
    return `closes after ${probes.permitted} good probes: ${probes.ok} ok, ${probes.failed} failed, ${probes.in_flight} under way`;
  }
  if (circuit.state === "forced_open") return "calls are refused until an operator ends this (reset or auto)";
  if (circuit.state === "disabled") return hasNoRules(circuit) ? "it has no rules, by its options" : "calls pass and none is judged until an operator ends this (reset or auto)";
  return "";
}

function showCircuits(list) {
  const reason = (circuit) => circuit.reason;
  const columns = [
    { head: "Target", isShort: true, text: (circuit) => circuit.target },
    { head: "Worker", isShort: true, text: (circuit) => (circuit.worker ? circuit.worker.name : "") },
    { head: "State", text: (circuit) => words(circuit.state), level: (circuit) => (hasNoRules(circuit) ? "none" : circuitLevels[circuit.state] || "none") },
    { head: "Since", isShort: true, text: (circuit) => `${clock(circuit.since)} (${lasted(circuit.since_seconds)})` },
    { head: "Rule", text: (circuit) => (reason(circuit) ? ruleOf(reason(circuit).rule) : watched(circuit)) },
    { head: "Value", isNumber: true, text: (circuit) => valueOf(circuit.reason) },
    { head: "Threshold", isNumber: true, text: (circuit) => (reason(circuit) && isKnown(reason(circuit).threshold) ? ofRule(reason(circuit).rule, reason(circuit).threshold) : "") },
    { head: "Refused", isNumber: true, text: (circuit) => (circuit.state === "closed" ? "" : whole(circuit.refused_since_open)) },
    { head: "What comes next", isWide: true, text: nextOf },
  ];
  showTable("circuits-table", "All circuits; with the rule, the value and the threshold that opened one", columns, list, "There is no circuit.");
}

const rateKey = (worker) => `${worker.target}\n${worker.worker}\n${worker.pid}`;

// A page that is open for days sees many processes come and go.
function forgetRates(workers) {
  const present = new Set(workers.map(rateKey));
  for (const key of state.rates.keys()) if (!present.has(key)) state.rates.delete(key);
}

// Processor time since the answer before, as a share of one processor.
function cpuOf(worker, now) {
  const key = rateKey(worker);
  const before = state.rates.get(key);
  const share = before && now > before.now && isKnown(worker.cpu_seconds)
    ? (worker.cpu_seconds - before.cpu) / ((now - before.now) / 1000) : NaN;
  if (isKnown(worker.cpu_seconds)) state.rates.set(key, { now, cpu: worker.cpu_seconds });
  return share >= 0 ? percent(share) : "–";
}

function exitText(exit) {
  return exit ? exit.text : "";
}

function showWorkers(overview) {
  const now = Date.parse(overview.time);
  forgetRates(overview.workers);
  const columns = [
    { head: "Worker", isShort: true, text: (row) => row.worker },
    { head: "Target", isShort: true, text: (row) => row.target },
    { head: "State", text: (row) => words(row.state), level: (row) => workerLevels[row.state] || "warn" },
    { head: "Process", isNumber: true, text: (row) => (row.pid ? String(row.pid) : "–") },
    { head: "Runs for", isNumber: true, text: (row) => (row.pid && row.start_time_seconds > 0 ? lasted(now / 1000 - row.start_time_seconds) : "–") },
    { head: "CPU", isNumber: true, text: (row) => (row.pid ? cpuOf(row, now) : "–") },
    { head: "Memory", isNumber: true, text: (row) => (row.pid && row.memory_bytes > 0 ? bytes(row.memory_bytes) : "–") },
    { head: "Restarts", isNumber: true, text: (row) => whole(row.restarts) },
    { head: "Last exit", isWide: true, text: (row) => exitText(row.last_exit) },
  ];
  const more = overview.workers_left_out > 0 ? ` (${overview.workers_left_out} more are not shown)` : "";
  showTable("workers-table", `Workers and services behind the circuits${more}`, columns, overview.workers, "There is no worker.");
}

function barOf(call, longest) {
  const total = isKnown(call.duration_seconds) ? call.duration_seconds : call.age_seconds;
  const label = PHASES.filter((name) => call.phases && isKnown(call.phases[name]))
    .map((name) => `${words(name)} ${took(call.phases[name])}`).join(", ");
  const bar = draw("svg", { class: "bar", viewBox: "0 0 1000 10", preserveAspectRatio: "none", role: "img",
    "aria-label": label || "the phases are not known" });
  const title = draw("title", {});
  title.textContent = label || "the phases are not known";
  bar.append(title);
  const scale = longest > 0 ? 1000 / longest : 0;
  bar.append(draw("rect", { class: "rest", x: 0, y: 0, width: Math.max(2, total * scale), height: 10 }));
  let x = 0;
  PHASES.forEach((name, i) => {
    const width = call.phases && isKnown(call.phases[name]) ? call.phases[name] * scale : 0;
    if (width > 0) bar.append(draw("rect", { class: `c${i + 1}`, x, y: 0, width, height: 10 }));
    x += width;
  });
  return bar;
}

function showCalls(id, caption, answer, none) {
  const rows = answer.calls;
  const duration = (call) => (isKnown(call.duration_seconds) ? call.duration_seconds : call.age_seconds);
  const longest = Math.max(0, ...rows.map(duration));
  const columns = [
    { head: "Function", isShort: true, text: (call) => call.function || "" },
    { head: "Worker", isShort: true, text: (call) => call.worker || call.target || "" },
    { head: "Began", isShort: true, text: (call) => clock(call.start) },
    { head: id === "open-table" ? "Age" : "Took", isNumber: true, text: (call) => took(duration(call)) },
    id === "open-table"
      ? { head: "Phase", isShort: true, text: (call) => words(call.phase) + (isKnown(call.deadline_left_seconds)
        ? call.deadline_left_seconds >= 0 ? `, ${took(call.deadline_left_seconds)} left` : ", past its deadline" : "") }
      : { head: "Status", isShort: true, text: (call) => words(call.status) },
    { head: "Phases", isWide: true, node: (call) => barOf(call, longest) },
  ];
  if (id === "failed-table") columns.push({ head: "Error", isWide: true, text: (call) => call.error || "" });
  showTable(id, caption, columns, rows, none);
}

function crashText(crash) {
  const end = crash.text || `ended (${words(crash.how)})`;
  const next = { restart: isKnown(crash.next.restart_in_seconds) ? `it was to be restarted after ${took(crash.next.restart_in_seconds)}` : "it was to be restarted",
    gave_up: "it is not restarted any more", none: "it is not restarted", search: "the service is looked for again" }[crash.next.what];
  const calls = crash.open_calls.count;
  return `Worker ${crash.worker} of ${crash.target} ${end}; ${calls === 1 ? "1 call was" : `${whole(calls)} calls were`} open; ${next || words(crash.next.what)}.`;
}

function crashParts(crash) {
  const parts = [];
  const facts = [crash.pid && `process ${crash.pid}`, isKnown(crash.uptime_seconds) && `ran for ${lasted(crash.uptime_seconds)}`,
    crash.usage && `at most ${bytes(crash.usage.max_rss_bytes)}`,
    crash.core && (crash.core.dumped ? "the core was dumped" : "no core was dumped")].filter(Boolean);
  if (facts.length) parts.push(make("p", {}, `${facts.join(", ")}.`));
  for (const name of ["running_calls", "open_calls"]) {
    const list = crash[name] ? crash[name].calls : [];
    if (list.length) {
      parts.push(make("p", {}, `${name === "open_calls" ? "Open" : "Running"}: ${list.map((call) => `${call.function} (${took(call.age_seconds)})`).join(", ")}`));
    }
  }
  for (const name of ["stderr", "stdout", "log"]) {
    if (crash[name] && crash[name].length) parts.push(make("h3", {}, `Last lines of ${name}`), make("pre", {}, crash[name].join("\n")));
  }
  return parts;
}

function showCrashes(answer) {
  const place = $("crashes-list");
  const key = answer.crashes.map((crash) => crash.number).join() || "none";
  if (place.dataset.key === key) { // what is open stays open; a time of yesterday gets its date
    place.querySelectorAll("summary b").forEach((node, i) => setText(node, `${clock(answer.crashes[i].time)} `));
    return;
  }
  place.dataset.key = key;
  if (answer.crashes.length === 0) {
    place.replaceChildren(make("p", { class: "empty" }, "No worker has ended by itself since the start."));
    return;
  }
  const more = answer.total > answer.crashes.length
    ? [make("p", { class: "dim note" }, `The last ${answer.crashes.length} of ${whole(answer.total)} since the start.`)] : [];
  place.replaceChildren(...answer.crashes.map((crash) =>
    make("details", {}, make("summary", {}, make("b", {}, `${clock(crash.time)} `), crashText(crash)), ...crashParts(crash))), ...more);
}

const healthLevels = { pass: "good", warn: "warn", fail: "bad" };

function checksOf(health) {
  return Object.entries(health.checks || {}).flatMap(([name, rows]) => rows.map((row) => ({ name, ...row })));
}

function showHealth(health) {
  const columns = [
    { head: "Check", text: (row) => row.name },
    { head: "Status", text: (row) => row.status, level: (row) => healthLevels[row.status] || "none" },
    { head: "Value", text: (row) => (row.observedValue === undefined ? "" : `${isKnown(row.observedValue) ? short(row.observedValue) : words(row.observedValue)}${row.observedUnit ? ` ${row.observedUnit}` : ""}`) },
    { head: "Why", isWide: true, text: (row) => row.output || "" },
  ];
  showTable("health-table", `As evaluated last: ${health.status}`, columns, checksOf(health), "There is no check.");
}

// ---- What is wrong now ----

// Each entry: {level, key, text, since (ms)}. The text has no number that counts on; `next` may.
function whyOf(reason) {
  const text = reason.text ? ` (${reason.text})` : "";
  if (reason.rule === "admin" && reason.text) return reason.text;
  if (!isKnown(reason.threshold)) return ruleOf(reason.rule) + text; // the value is the text's
  return `${ruleOf(reason.rule)} ${ofRule(reason.rule, reason.observed)}, threshold ${ofRule(reason.rule, reason.threshold)}${text}`;
}

function circuitTrouble(circuit) {
  const who = `The circuit of ${circuit.target}${circuit.worker ? ` (${circuit.worker.name})` : ""} is ${words(circuit.state)}`;
  const reason = circuit.reason;
  const why = reason ? `: ${whyOf(reason)}` : circuit.state === "disabled" ? ": an operator forced it closed" : "";
  const next = [nextOf(circuit), circuit.refused_since_open > 0 && `${whole(circuit.refused_since_open)} calls refused`].filter(Boolean);
  return { level: circuitLevels[circuit.state] || "warn", key: `c ${circuit.target} ${circuit.worker ? circuit.worker.name : ""} ${circuit.state}`,
    text: `${who}${why}.`, next: next.length ? `Next: ${next.join("; ")}.` : "", since: Date.parse(circuit.since) };
}

// Why a check does not pass, and since when (ms), which stands at the end of what it says.
function outputOf(check) {
  const output = check.output || "it does not say why";
  const end = /; since (\d{4}-\d\d-\d\dT[\d:.]+Z)$/.exec(output);
  const since = end ? Date.parse(end[1]) : NaN;
  return isKnown(since) ? [output.slice(0, end.index), since] : [output, undefined];
}

// A worker whose last crash is known is down since then.
function workerTrouble(row, crashes) {
  const crash = row.last_exit && crashes.find((one) => one.worker === row.worker && one.target === row.target);
  const next = row.restart_in_seconds > 0 ? `Next: a restart in ${lasted(row.restart_in_seconds)}.`
    : row.state === "failed" ? "Next: nothing happens by itself." : "";
  return { level: workerLevels[row.state] === "bad" ? "bad" : "warn", key: `w ${row.target} ${row.worker} ${row.state}`,
    text: `Worker ${row.worker} of ${row.target} is ${words(row.state)}${row.last_exit ? `; its last process ${exitText(row.last_exit)}` : ""}.`,
    next, since: crash ? Date.parse(crash.time) : undefined };
}

function troubles(data) {
  const now = Date.parse(data.overview.time);
  const list = [];
  const isDown = (row) => !["ready", "", "stopped", "created"].includes(row.state);
  const circuits = data.circuits.circuits.filter((circuit) => circuit.state !== "closed" && !hasNoRules(circuit));
  const workers = data.overview.workers.filter(isDown);
  // What a circuit or a worker tells itself, its check need not repeat.
  const told = new Set([...circuits.map((circuit) => `${circuit.target}:circuit`), ...workers.map((row) => `${row.target}:workers`)]);
  for (const check of checksOf(data.health)) {
    if (check.status !== "pass" && !told.has(check.name)) {
      const [why, since] = outputOf(check);
      list.push({ level: healthLevels[check.status], key: `h ${check.name} ${check.status}`,
        text: sentence(`Check ${check.name} ${check.status === "fail" ? "fails" : "warns"}: ${why}`), since, next: "" });
    }
  }
  list.push(...circuits.map(circuitTrouble), ...workers.map((row) => workerTrouble(row, data.crashes.crashes)));
  for (const crash of data.crashes.crashes) {
    if (now - Date.parse(crash.time) < RECENT_MS) {
      list.push({ level: "warn", key: `x ${crash.number}`, text: `Crash: ${crashText(crash)}`, since: Date.parse(crash.time), next: "", isPast: true });
    }
  }
  if (state.restartedAt && now - state.restartedAt < RECENT_MS) {
    list.push({ level: "warn", key: "restart", text: "The service was restarted; its figures began anew.", since: state.restartedAt, next: "", isPast: true });
  }
  const keys = new Set(list.map((one) => one.key));
  for (const key of state.firstSeen.keys()) if (!keys.has(key)) state.firstSeen.delete(key);
  for (const one of list) {
    if (!state.firstSeen.has(one.key)) state.firstSeen.set(one.key, now);
    if (one.since === undefined) {
      one.since = state.firstSeen.get(one.key);
      one.isSeen = true;
    }
  }
  const rank = { bad: 0, warn: 1, good: 2 };
  return list.sort((a, b) => Boolean(a.isPast) - Boolean(b.isPast) || rank[a.level] - rank[b.level] || b.since - a.since);
}

function sinceText(one, now) {
  if (one.isPast) return `${clock(one.since)}.`;
  const from = one.isSeen ? "Seen here since" : "Since";
  return `${from} ${clock(one.since)} (${lasted((now - one.since) / 1000)}).`;
}

function showTrouble(list, data) {
  const now = Date.parse(data.overview.time);
  const present = list.filter((one) => !one.isPast);
  const level = present.some((one) => one.level === "bad") ? "bad" : present.length ? "warn" : "good";
  const verdict = { bad: "failing", warn: "degraded", good: "well" }[level];
  const place = $("wrong-list");
  const closed = data.circuits.circuits.filter((circuit) => circuit.state === "closed").length;
  const ready = data.overview.workers.filter((row) => row.state === "ready").length;
  const fine = `Nothing is wrong. Checks that pass: ${checksOf(data.health).length}; closed circuits: ${closed}; workers that are ready: ${ready}.`;
  const entries = present.length ? list : [{ level: "good", text: fine, isFine: true }, ...list];
  while (place.children.length > entries.length) place.lastChild.remove();
  entries.forEach((one, i) => {
    const item = place.children[i] || place.appendChild(make("li", {}, make("b"), make("span")));
    item.dataset.level = one.level;
    setText(item.firstChild, one.isFine ? "Well" : one.isPast ? "Recent" : one.level === "bad" ? "Failing" : "Degraded");
    setText(item.lastChild, one.isFine ? one.text : `${one.text} ${sinceText(one, now)}${one.next ? ` ${one.next}` : ""}`);
  });
  setVerdict(level, verdict);
  announce(list.length ? `${verdict}: ${list.map((one) => one.text).join(" ")}` : fine);
}

// Tells a screen reader, but only what has changed.
function announce(text) {
  setText($("announce"), text);
}

function setVerdict(level, text) {
  $("verdict").dataset.level = level;
  setText($("verdict"), text);
}

// Of a process that makes no calls, what counts is those that it answers.
function totalsOf(overview) {
  if (overview.targets.length) return overview.totals;
  const sum = (name) => overview.functions.reduce((all, row) => all + row[name], 0);
  return { calls: sum("calls"), errors: sum("errors") };
}

function rateNow(overview) {
  const before = state.last && state.last.overview;
  if (!before || before.process.start_time_seconds !== overview.process.start_time_seconds) return {};
  const seconds = (Date.parse(overview.time) - Date.parse(before.time)) / 1000;
  const [now, then] = [totalsOf(overview), totalsOf(before)];
  const calls = now.calls - then.calls;
  if (!(seconds > 0)) return {}; // the clock of the service was set back
  return { calls: calls / seconds, errors: calls > 0 ? (now.errors - then.errors) / calls : 0 };
}

function showTiles(data) {
  const { overview, circuits } = data;
  const rate = rateNow(overview);
  const ready = overview.workers.filter((row) => row.state === "ready").length;
  const closed = circuits.circuits.filter((circuit) => circuit.state === "closed").length;
  const tiles = [
    ["Calls per second", short(rate.calls)], ["Failed now", percent(rate.errors)],
    ["p99 of 60 s", took(overview.totals.p99_seconds)], ["Open calls", whole(overview.totals.in_flight || 0)],
    ["Workers ready", `${ready} of ${overview.workers.length}`],
    ["Circuits closed", `${closed} of ${circuits.circuits.length}`],
    ["Calls since start", whole(totalsOf(overview).calls)],
  ];
  const place = $("tiles");
  tiles.forEach(([name, text], i) => {
    const tile = place.children[i] || place.appendChild(make("div", {}, make("dt", {}, name), make("dd")));
    setText(tile.lastChild, text);
  });
}

// ---- Asking ----

class Refusal extends Error {}

async function ask(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" }, cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
  if (answer.status === 200 || (answer.status === 503 && path.startsWith("/health"))) return answer.json();
  if (answer.status === 404 && path.startsWith("/calls")) return { calls: [], isOff: true };
  throw new Refusal(`${path} answered ${answer.status}`);
}

// One after the other: the service makes such pages one at a time.
async function askAll() {
  const target = $("target").value;
  const data = {};
  data.overview = await ask(target ? `/overview?target=${encodeURIComponent(target)}` : "/overview");
  data.health = await ask("/health");
  data.circuits = await ask("/circuits");
  data.open = await ask("/calls?limit=10");
  data.slowest = data.open.isOff ? data.open : await ask("/calls?slowest&limit=10");
  data.failed = data.open.isOff ? data.open : await ask("/calls?failed&limit=10");
  data.crashes = await ask("/crashes?limit=10");
  return data;
}

function noteRestart(overview) {
  const start = overview.process.start_time_seconds;
  const was = state.startTime;
  state.startTime = start;
  if (was !== null && start !== was) {
    state.restartedAt = isKnown(start) ? start * 1000 : Date.parse(overview.time);
    state.rates.clear();
    delete $("crashes-list").dataset.key;
  }
}

function show(data) {
  const { overview } = data;
  noteRestart(overview);
  setText($("service"), overview.service);
  document.title = overview.service;
  const up = isKnown(overview.process.start_time_seconds) ? `up ${lasted(Date.parse(overview.time) / 1000 - overview.process.start_time_seconds)}` : "";
  setText($("about"), [overview.version && `version ${overview.version}`, overview.instance, up,
    isKnown(overview.process.memory_bytes) && bytes(overview.process.memory_bytes)].filter(Boolean).join(" · "));
  showTrouble(troubles(data), data);
  showTiles(data);
  showTargets(overview);
  showTraffic(overview);
  showFunctions(overview);
  showCircuits(data.circuits.circuits);
  showWorkers(overview);
  const off = "No calls are recorded here.";
  showCalls("open-table", "Open calls, the oldest first", data.open, data.open.isOff ? off : "No call is open.");
  showCalls("slowest-table", "The slowest calls of each function", data.slowest, data.open.isOff ? off : "No call has ended yet.");
  showCalls("failed-table", "Failed calls, the newest first", data.failed, data.open.isOff ? off : "No call has failed.");
  showCrashes(data.crashes);
  showHealth(data.health);
}

function showFresh() {
  const silence = $("silence");
  const isSilent = state.silentSince > 0;
  document.body.classList.toggle("is-stale", isSilent);
  silence.hidden = !isSilent;
  setText($("fresh"), isSilent ? "no answer" : state.answeredAt ? `as of ${clock(state.answeredAt)}` : "");
  if (isSilent) {
    const last = state.answeredAt ? ` What stands below is of ${clock(state.answeredAt)}.` : "";
    setText(silence, `${silentText()} (${lasted((Date.now() - state.silentSince) / 1000)}).${last} This page goes on asking.`);
  }
}

// An answer that is an error is one, too.
function silentText() {
  return state.refusal ? `The service has answered with errors since ${clock(state.silentSince)}: ${state.refusal}`
    : `The service has not answered since ${clock(state.silentSince)}`;
}

function noteSilence(error) {
  const isNew = state.silentSince === 0;
  if (isNew) state.silentSince = Date.now();
  state.refusal = error instanceof Refusal ? error.message : "";
  if (isNew) announce(`${silentText()}.`);
  setVerdict("bad", "no answer");
}

// A fault of this page is none of the service, and must not end the asking.
function tryToShow(data) {
  try {
    show(data);
    state.last = data;
    goToSection();
  } catch (error) {
    console.error(error);
    setVerdict("bad", "not shown");
    announce("This page could not show all of the answer.");
  }
}

async function poll() {
  let data = null;
  try {
    data = await askAll();
  } catch (error) {
    noteSilence(error);
  }
  if (data) {
    state.silentSince = 0;
    state.answeredAt = Date.now();
    tryToShow(data);
  }
  showFresh();
  setTimeout(poll, POLL_MS);
}

// ---- The page itself ----

// /health and /circuits in a browser are this page at that section.
let isThere = false;
function goToSection() {
  const id = { health: "health", circuits: "circuits" }[location.pathname.split("/")[1]];
  if (id && !isThere && !location.hash) {
    $(id).scrollIntoView();
    $(`${id}-head`).focus({ preventScroll: true });
  }
  isThere = true;
}

const themes = ["auto", "light", "dark"];

function setTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  setText($("theme"), `Theme: ${theme}`);
}

function startTheme() {
  let theme = "auto";
  try {
    theme = localStorage.getItem("theme") || "auto";
  } catch { /* the browser keeps nothing for this page */ }
  theme = themes.includes(theme) ? theme : "auto";
  setTheme(theme);
  $("theme").addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    setTheme(theme);
    try {
      localStorage.setItem("theme", theme);
    } catch { /* as above */ }
  });
}

function startLegend() {
  $("phases").append("Phases of a call: ", ...PHASES.map((name, i) =>
    make("span", { class: `key c${i + 1}` }, make("span", {}, words(name)))));
}

startTheme();
startLegend();
setInterval(showFresh, 1000);
poll();
