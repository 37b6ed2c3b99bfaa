// A caller with the behaviour of the JavaScript implementation, oddities included.
"use strict";
const { spawn } = require("node:child_process");
const zmq = require("zeromq");
const registry = require("./registry");
const wire = require("./wire");

const EMPTY = Buffer.alloc(0);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

class Parent {
  constructor(options = {}) {
    this.options = {
      heartbeatInterval: 5.0, // seconds
      heartbeatTimeout: 3.0, // meant as seconds, used as milliseconds
      heartbeatMisses: 3,
      maxRestartAttempts: 5,
      ...options,
    };
    this.pending = new Map();
    this.failures = 0;
    this.rtt = null;
    this.heartbeats = { sent: 0, answered: 0, missed: 0 };
    this.awaited = new Set();
    this.inARow = 0;
    this.queue = Promise.resolve();
    this.running = false;
  }

  // ---- Life ----

  // Without a shell of its own the script would be the worker; so it is the shell's child.
  async spawn(script, executable = "node") {
    const port = await registry.freePort();
    this.name = script;
    this.dealer = new zmq.Dealer();
    await this.dealer.bind(`tcp://*:${port}`);
    this.process = spawn("/bin/sh", ["-c", `${executable} ${script}`], {
      env: { ...process.env, COMLINK_ZMQ_PORT: String(port) },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.process.stdout.pause(); // nobody ever reads what comes there
    this.process.stderr.pause();
    this.exited = new Promise((resolve) => this.process.once("exit", resolve));
    this.exited.then((code) => (this.exitCode = code));
    await Promise.race([pause(500), this.exited]);
    if (this.exitCode) {
      throw new Error(`worker ended with status ${this.exitCode}`);
    }
    this._begin();
    this.heartbeatTimer = setTimeout(() => this._heartbeat(), 1000);
  }

  async connect(service) {
    const port = await registry.discover(service);
    this.name = service;
    this.dealer = new zmq.Dealer();
    this.dealer.connect(`tcp://localhost:${port}`);
    this._begin();
  }

  _begin() {
    this.running = true;
    this._receive();
  }

  // The socket goes first, then the shell gets a signal, and the worker perhaps none.
  async stop() {
    this.running = false;
    clearTimeout(this.heartbeatTimer);
    for (const call of this.pending.values()) {
      clearTimeout(call.timer);
      call.reject(new Error("Worker controller is shutting down"));
    }
    this.pending.clear();
    this.dealer.close();
    if (this.process && this.process.exitCode === null) {
      this.process.kill("SIGTERM");
      await Promise.race([this.exited, pause(2000)]);
      this.process.kill("SIGKILL");
    }
  }

  get isHealthy() {
    return this.running && this.failures < this.options.maxRestartAttempts;
  }

  // ---- Messages ----

  async _send(payload) {
    const sent = this.queue.then(() => this.dealer.send([EMPTY, payload]));
    this.queue = sent.catch(() => {});
    return sent;
  }

  async _receive() {
    try {
      for await (const frames of this.dealer) {
        if (frames.length >= 2) {
          this._take(frames[1]);
        }
      }
    } catch {
      // closed
    }
  }

  _take(payload) {
    let fields;
    try {
      fields = wire.unpack(payload);
    } catch (error) {
      console.error(`Failed to process message: ${error.message}`);
      return;
    }
    if (fields.app !== wire.APP || !fields.id) {
      console.error("Ignoring invalid message");
      return;
    }
    if (fields.type === "stdout" && fields.output) {
      console.log(`[${this.name} STDOUT]: ${fields.output}`);
    } else if (fields.type === "stderr" && fields.output) {
      console.error(`[${this.name} STDERR]: ${fields.output}`);
    } else if (fields.type === "heartbeat") {
      this._heartbeatAnswer(fields);
    } else if (fields.type === "response" || fields.type === "error") {
      this._finish(fields);
    }
  }

  _finish(fields) {
    const call = this.pending.get(fields.id);
    if (!call) {
      return;
    }
    this.pending.delete(fields.id);
    clearTimeout(call.timer);
    if (fields.type === "response") {
      this.failures = 0;
      call.resolve(fields.result);
    } else {
      this.failures++;
      call.reject(Object.assign(new Error(fields.error || "Unknown error"), { kind: "remote" }));
    }
  }

  // ---- Calls ----

  async call(name, args, { timeout = 0, namespace = "default", clientName } = {}) {
    if (this.failures >= this.options.maxRestartAttempts) {
      const text = `Circuit breaker open after ${this.failures} consecutive failures`;
      throw Object.assign(new Error(text), { kind: "circuit" });
    }
    const fields = { function: name, args, namespace, clientName };
    const message = wire.message("call", null, fields);
    const answer = new Promise((resolve, reject) => {
      const call = { resolve, reject };
      if (timeout > 0) {
        call.timer = setTimeout(() => {
          this.pending.delete(message.id);
          this.failures++;
          const text = `Function '${name}' timed out after ${timeout}ms`;
          reject(Object.assign(new Error(text), { kind: "timeout" }));
        }, timeout);
      }
      this.pending.set(message.id, call);
    });
    await Promise.race([this._send(wire.pack(message)), answer]); // a late send must not hide it
    return answer;
  }

  sendShutdown() {
    return this._send(wire.pack(wire.message("shutdown", null, {})));
  }

  // ---- Heartbeats, in spawn mode only ----

  _heartbeat() {
    const message = wire.message("heartbeat", null, { args: [Date.now()] });
    this.heartbeats.sent++;
    this.awaited.add(message.id);
    this._send(wire.pack(message)).catch(() => {});
    setTimeout(() => this._heartbeatLate(message.id), this.options.heartbeatTimeout);
    const interval = this.options.heartbeatInterval * 1000;
    this.heartbeatTimer = setTimeout(() => this._heartbeat(), interval);
  }

  _heartbeatLate(id) {
    if (this.awaited.delete(id)) {
      this.heartbeats.missed++;
      if (++this.inARow === this.options.heartbeatMisses) {
        this.failures++;
        clearTimeout(this.heartbeatTimer); // and there is never another one
      }
    }
  }

  _heartbeatAnswer(fields) {
    if (this.awaited.delete(fields.id)) {
      this.inARow = 0;
      this.heartbeats.answered++;
      this.rtt = Date.now() - fields.args[0] * 1000; // milliseconds taken for seconds
    }
  }
}

module.exports = { Parent };
