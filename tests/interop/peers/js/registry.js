// Keeps services.json as a JavaScript peer does, with only that language's lock.
"use strict";
const fs = require("node:fs");
const net = require("node:net");
const os = require("node:os");
const path = require("node:path");

const FOLDER = path.join(os.homedir(), ".multifrost");
const FILE = path.join(FOLDER, "services.json");
const STALE_MS = 10000;
const TOUCH_MS = 5000;

// A directory beside the file's real path, which must exist. There is no second try.
function takeLock(directory) {
  try {
    fs.mkdirSync(directory);
    return;
  } catch (error) {
    if (error.code !== "EEXIST") {
      throw error;
    }
  }
  if (Date.now() - fs.statSync(directory).mtimeMs < STALE_MS) {
    throw new Error("Lock file is already being held");
  }
  fs.rmdirSync(directory);
  fs.mkdirSync(directory);
}

async function locked(action) {
  const directory = `${fs.realpathSync(FILE)}.lock`;
  takeLock(directory);
  const touch = setInterval(() => fs.utimesSync(directory, new Date(), new Date()), TOUCH_MS);
  try {
    return await action();
  } finally {
    clearInterval(touch);
    fs.rmdirSync(directory);
  }
}

function load() {
  return JSON.parse(fs.readFileSync(FILE, "utf8") || "{}");
}

function store(entries) {
  fs.writeFileSync(`${FILE}.tmp`, JSON.stringify(entries, null, 2));
  fs.renameSync(`${FILE}.tmp`, FILE);
}

function alive(pid) {
  return fs.existsSync(`/proc/${pid}`);
}

// Found with a throw-away socket, so that someone else may take it before the real bind.
function freePort() {
  return new Promise((resolve, reject) => {
    const probe = net.createServer();
    probe.once("error", reject);
    probe.listen(0, () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

function register(service) {
  fs.mkdirSync(FOLDER, { recursive: true });
  return locked(async () => {
    const entries = load();
    const old = entries[service];
    if (old && alive(old.pid)) {
      throw new Error(`Service '${service}' already running (PID: ${old.pid}, port: ${old.port})`);
    }
    const port = await freePort();
    entries[service] = { port, pid: process.pid, started: new Date().toISOString() };
    store(entries);
    return port;
  });
}

function unregister(service) {
  return locked(() => {
    const entries = load();
    if (entries[service] && entries[service].pid === process.pid) {
      delete entries[service];
      store(entries);
    }
  });
}

// The port of a live service, looked for under the lock each 100 ms.
async function discover(service, milliseconds = 5000) {
  const deadline = Date.now() + milliseconds;
  while (Date.now() < deadline) {
    const entry = await locked(() => load()[service]);
    if (entry && alive(entry.pid)) {
      return entry.port;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`Service '${service}' not found within ${milliseconds}ms`);
}

module.exports = { register, unregister, discover, freePort };
