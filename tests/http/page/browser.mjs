// Drives the status page of the demo in a headless Chromium.
// usage: browser.mjs SCENARIO DEMO ENDPOINT CHROMIUM MODULES SHOTS    (see the functions at the end)
// ENDPOINT is the program of ../endpoint.c: a service without workers, which fails a check when told.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";

const [scenario, demoProgram, endpointProgram, chromiumProgram, modules, shots] = process.argv.slice(2);
const require = createRequire(join(modules, "x.js"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const PATIENCE_MS = 60000; // only an event that never happens takes longer
const DESKTOP = { width: 1280, height: 900 };
const PHONE = { width: 375, height: 812 };

// ---- The demo ----

async function startDemo(port = 0) {
  const process = spawn(demoProgram, ["--http-port", String(port)], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise((resolve) => process.on("exit", resolve));
  const lines = createInterface({ input: process.stdout });
  const found = await new Promise((resolve, reject) => {
    lines.on("line", (line) => {
      const match = /http:\/\/127\.0\.0\.1:(\d+)\//.exec(line);
      if (match) resolve(Number(match[1]));
    });
    ended.then((code) => reject(new Error(`the demo ended with ${code}`)));
  });
  return {
    port: found,
    url: `http://127.0.0.1:${found}`,
    stop: async () => {
      process.kill("SIGINT");
      await ended;
    },
  };
}

async function startEndpoint() {
  const process = spawn(endpointProgram, ["0", "600000", "127.0.0.1", "/dev/null"], { stdio: ["pipe", "pipe", "inherit"] });
  const ended = new Promise((resolve) => process.on("exit", resolve));
  const lines = createInterface({ input: process.stdout })[Symbol.asyncIterator]();
  const port = Number((await lines.next()).value.split(" ")[1]);
  return {
    url: `http://127.0.0.1:${port}`,
    tell: async (command) => {
      process.stdin.write(`${command}\n`);
      assert.equal((await lines.next()).value, "done");
    },
    stop: async () => {
      process.stdin.end();
      await ended;
    },
  };
}

async function get(demo, path, headers = {}) {
  return fetch(demo.url + path, { headers });
}

async function pidOf(demo, target) {
  for (;;) {
    const answer = await (await get(demo, "/circuits")).json();
    const circuit = answer.circuits.find((one) => one.target === target);
    if (circuit?.worker?.state === "ready" && circuit.worker.pid) return circuit.worker.pid;
  }
}

// ---- The browser ----

// The browser itself tells of each answer that is an error; those are the service's to give.
const isAnswer = (text) => /^Failed to load resource/.test(text);

async function open(browser, demo, { path = "/", viewport = DESKTOP, scheme = "light", workers = 2 } = {}) {
  const context = await browser.newContext({ viewport, colorScheme: scheme });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  page.complaints = [];
  page.on("console", (message) => {
    if (message.type() === "error" && !isAnswer(message.text())) page.complaints.push(message.text());
  });
  page.on("pageerror", (error) => page.complaints.push(error.stack));
  await page.goto(demo.url + path);
  await until(page, (count) => document.getElementById("fresh").textContent !== "" &&
    document.querySelectorAll("#workers-table tbody tr").length === count, workers);
  return page;
}

// As page.waitForFunction(), which evaluates inside the page, where the policy of the page forbids it.
async function until(page, condition, argument) {
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await setTimeout(50)) {
    if (await page.evaluate(condition, argument)) return;
  }
  throw new Error(`never: ${condition} ${argument ?? ""}; the page says: ${await page.textContent("#wrong")}`);
}

const has = (page, selector, text) =>
  until(page, ([where, what]) => new RegExp(what).test(document.querySelector(where).textContent), [selector, text]);

const LONGEST = 2600; // pixels of a picture

async function shoot(page, name, isWhole = true) {
  const { width, height } = page.viewportSize();
  const whole = Math.min(LONGEST, await page.evaluate(() => document.documentElement.scrollHeight));
  const clip = { x: 0, y: 0, width, height: isWhole ? whole : height };
  await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true, clip });
}

async function shootAll(browser, demo, name) {
  for (const scheme of ["light", "dark"]) {
    for (const [device, viewport] of [["desktop", DESKTOP], ["phone", PHONE]]) {
      const page = await open(browser, demo, { viewport, scheme });
      await until(page, () => /\d/.test(document.querySelector("#tiles dd").textContent));
      await shoot(page, `${name}-${scheme}-${device}`);
      assert.deepEqual(page.complaints, []);
      await page.context().close();
    }
  }
}

async function checkAccess(page) {
  // Past the policy of the page: the tools of the browser may run what they like.
  const found = await page.evaluate(`(() => { ${axe}; return axe.run(document); })()`);
  const grave = found.violations.filter((one) => ["serious", "critical"].includes(one.impact));
  assert.deepEqual(grave.map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join(" ")}`), []);
  assert.ok(found.passes.length > 20, "axe has looked at the page");
}

// ---- Scenarios ----

const calls = (page) => page.evaluate(() => Number(
  [...document.querySelectorAll("#tiles div")].at(-1).lastChild.textContent.replaceAll(",", "")));

async function loads(browser, demo) {
  const page = await open(browser, demo);
  await has(page, "#verdict", "well");
  await has(page, "#wrong-list", "Nothing is wrong");
  assert.equal(await page.title(), "demo");
  const before = await calls(page);
  await until(page, (n) => Number([...document.querySelectorAll("#tiles div")].at(-1).lastChild.textContent.replaceAll(",", "")) > n, before);
  await has(page, "#functions-table", "divide");
  await has(page, "#slowest-table", "sleep_ms");
  // A point of the ring comes after ten seconds.
  await until(page, () => document.querySelector("#chart-calls path").getAttribute("d").length > 0);
  await page.selectOption("#target", "math-c");
  await page.waitForResponse((answer) => answer.url().endsWith("/overview?target=math-c"));
  assert.deepEqual(page.complaints, []);
  await shootAll(browser, demo, "loaded");
}

async function circuit(browser, demo) {
  const page = await open(browser, demo);
  const pid = await pidOf(demo, "math-c");
  process.kill(pid, "SIGSTOP");
  try {
    await has(page, "#wrong-list", "The circuit of math-c \\(math-c-0\\) is (open|half open)");
    await has(page, "#circuits-table", "(missed heartbeats|failures in a row)");
    assert.notEqual(await page.textContent("#verdict"), "well");
    await has(page, "#announce", "The circuit of math-c");
    await checkAccess(page);
    await shootAll(browser, demo, "open");
  } finally {
    process.kill(pid, "SIGCONT");
  }
  await until(page, () => !/The circuit of/.test(document.querySelector("#wrong-list").textContent));
  await has(page, "#circuits-table", "closed");
  assert.deepEqual(page.complaints, []);
}

async function crash(browser, demo) {
  const page = await open(browser, demo);
  process.kill(await pidOf(demo, "math-py"), "SIGKILL");
  await has(page, "#crashes-list", "math-py-0.*SIGKILL");
  await has(page, "#wrong-list", "Crash: Worker math-py-0");
  await page.click("#crashes-list summary");
  await has(page, "#workers-table", "failed.*SIGKILL"); // the demo starts its workers once
  await page.waitForResponse((answer) => answer.url().includes("/crashes")); // what is open stays open
  assert.equal(await page.$eval("#crashes-list details", (node) => node.open), true);
  await checkAccess(page);
  await shootAll(browser, demo, "crash");
  assert.deepEqual(page.complaints, []);
}

// The page outlives the service: it says since when there is no answer, and goes on with the next one.
async function restart(browser, demo) {
  const page = await open(browser, demo);
  await has(page, "#verdict", "well");
  await demo.stop();
  await has(page, "#silence", "has not answered since \\d\\d:\\d\\d:\\d\\d");
  await has(page, "#verdict", "no answer");
  await shoot(page, "silent-light-desktop", false);
  const next = await startDemo(demo.port);
  try {
    await until(page, () => document.getElementById("silence").hidden);
    await has(page, "#wrong-list", "The service was restarted");
    await has(page, "#verdict", "well");
    assert.deepEqual(page.complaints, []);
  } finally {
    await next.stop();
  }
}

async function access(browser, demo) {
  for (const scheme of ["light", "dark"]) {
    for (const viewport of [DESKTOP, PHONE]) {
      const page = await open(browser, demo, { scheme, viewport });
      await has(page, "#functions-table", "divide");
      await checkAccess(page);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), 0, "nothing is wider than the screen");
      await page.keyboard.press("Tab");
      assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
      const ring = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
      assert.equal(ring, "solid", "the focus is seen");
      await page.context().close();
    }
  }
  const page = await open(browser, demo, { scheme: "light" });
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await page.click("#theme");
  assert.equal(await ground(), light);
  await page.click("#theme");
  assert.notEqual(await ground(), light);
  await page.reload();
  assert.equal(await page.textContent("#theme"), "Theme: dark");
}

// The routes for machines, as people and machines ask for them.
async function links(browser, demo) {
  for (const id of ["health", "circuits"]) {
    const page = await open(browser, demo, { path: `/${id}` });
    await until(page, (name) => document.activeElement.id === `${name}-head`, id);
    assert.deepEqual(page.complaints, []);
    await page.goto(`${demo.url}/${id}?json`);
    assert.match(await page.textContent("body"), /^\{/);
    assert.match((await get(demo, `/${id}`)).headers.get("content-type"), /json/);
    await page.context().close();
  }
  // Whatever the service says is text.
  const page = await open(browser, demo);
  await page.route("**/overview", async (route) => {
    const body = await (await route.fetch()).json();
    body.service = "<img src=x onerror=alert(1)>";
    body.functions[0].function = "<script>alert(1)</script>";
    body.functions[0].target = body.workers[0].worker = body.workers[0].target = body.targets[0].target = "<img src=y onerror=alert(2)>";
    body.workers[0].last_exit = { text: "<img src=z onerror=alert(3)>", code: 1, signal: 0 };
    await route.fulfill({ json: body });
  });
  await page.route("**/health", async (route) => {
    const body = await (await route.fetch()).json();
    body.checks["<b>cache</b>"] = [{ status: "warn", output: "<img src=o onerror=alert(4)>; since 2026-01-02T12:00:00.000Z", observedValue: "<i>v</i>", observedUnit: "<i>u</i>" }];
    await route.fulfill({ json: body });
  });
  await page.route("**/calls?failed*", (route) => route.fulfill({ json: { calls: [{ function: "<u>f</u>", worker: "<u>w</u>", status: "<u>s</u>",
    start: new Date().toISOString(), duration_seconds: 1, error: "<img src=e onerror=alert(5)>", phases: {} }] } }));
  await has(page, "#wrong-list", "<b>cache</b> warns: <img src=o onerror=alert\\(4\\)>\\. Since 2026-01-0");
  await has(page, "#workers-table", "<img src=y.*<img src=z");
  await has(page, "#target", "<img src=y");
  await has(page, "#failed-table", "<u>f</u>.*<img src=e");
  await has(page, "#service", "<img src=x");
  await has(page, "#functions-table", "<script>alert");
  assert.equal(await page.$$eval("img, u, i, main script, #wrong-list b b", (nodes) => nodes.length), 0);
  assert.deepEqual(page.complaints, []);
}

// What a page shows that was left open for long, or while the service refuses to answer.
async function day(browser, demo) {
  const page = await open(browser, demo);
  process.kill(await pidOf(demo, "math-py"), "SIGKILL");
  await has(page, "#crashes-list", "SIGKILL");
  assert.match(await page.textContent("#crashes-list summary b"), /^\d\d:\d\d:\d\d /);
  await page.clock.setFixedTime(Date.now() + 25 * 3600 * 1000);
  await until(page, () => /^\d{4}-\d\d-\d\d \d\d:/.test(document.querySelector("#crashes-list summary b").textContent));
  await page.route("**/overview", (route) => route.fulfill({ status: 503, json: {} }));
  await has(page, "#silence", "has answered with errors since .*: /overview answered 503");
  await page.unroute("**/overview");
  await until(page, () => document.getElementById("silence").hidden);
  await page.route("**/circuits", (route) => route.fulfill({ json: {} }));
  await has(page, "#verdict", "not shown");
  assert.equal(await page.evaluate(() => document.getElementById("silence").hidden), true, "the service has answered");
  await page.unroute("**/circuits");
  await until(page, () => document.getElementById("verdict").textContent !== "not shown");
}

// Circuits that operators hold, and one that has no rules.
async function orders(browser, demo) {
  const page = await open(browser, demo);
  let change = () => {};
  await page.route("**/circuits", async (route) => {
    const body = await (await route.fetch()).json();
    change(body.circuits[0]);
    await route.fulfill({ json: body });
  });
  change = (circuit) => Object.assign(circuit, { state: "disabled", config: { ...circuit.config, consecutive_failures: 0 } });
  await has(page, "#circuits-table", "disabled.*it has no rules");
  await has(page, "#verdict", "well");
  change = (circuit) => Object.assign(circuit, { state: "disabled" });
  await has(page, "#wrong-list", "is disabled: an operator forced it closed.*none is judged until an operator");
  change = (circuit) => Object.assign(circuit, { state: "forced_open", reason: { rule: "admin", observed: 0, text: "an operator forced it open" } });
  await has(page, "#wrong-list", "is forced open: an operator forced it open\\..*until an operator");
  await has(page, "#verdict", "failing");
  assert.deepEqual(page.complaints, []);
}

// A service that has no workers and makes no calls.
async function bare(browser) {
  const service = await startEndpoint();
  const page = await open(browser, service, { workers: 0 });
  await has(page, "#verdict", "well");
  await has(page, "#workers-table", "There is no worker");
  await has(page, "#traffic-note", "has made no calls");
  await service.tell("fail");
  await has(page, "#verdict", "failing");
  await has(page, "#wrong-list", "Failing.*Check cache fails.*Seen here since \\d\\d:\\d\\d:\\d\\d");
  await has(page, "#health-table", "cache.*fail");
  await has(page, "#announce", "Check cache fails");
  await checkAccess(page);
  await shoot(page, "bare-light-desktop");
  await service.tell("pass");
  await has(page, "#wrong-list", "Nothing is wrong");
  assert.deepEqual(page.complaints, []);
  await service.stop();
}

async function idle(browser, demo) {
  await shootAll(browser, demo, "idle");
}

const scenarios = { loads, circuit, crash, restart, access, links, day, orders, bare, idle };
const demo = await startDemo();
const browser = await chromium.launch({ executablePath: chromiumProgram, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
try {
  await scenarios[scenario](browser, demo);
} finally {
  await browser.close();
  if (scenario !== "restart") await demo.stop();
}
