// A worker with the behaviour of the JavaScript implementation, oddities included.
"use strict";
const util = require("node:util");
const zmq = require("zeromq");
const registry = require("./registry");
const wire = require("./wire");

const EMPTY = Buffer.alloc(0);

class Child {
  constructor(service, namespace = "default") {
    this.service = service;
    this.namespace = namespace;
    this.running = false;
    this.connected = false;
    this.peer = null; // who was heard from last gets the output
    this.queue = Promise.resolve(); // a socket sends one message at a time
  }

  listFunctions() {
    const names = Object.getOwnPropertyNames(Object.getPrototypeOf(this));
    return names.filter((name) => name !== "constructor" && !name.startsWith("_"));
  }

  // ---- Life ----

  async run() {
    const port = process.env.COMLINK_ZMQ_PORT;
    if (!port && !this.service) {
      console.error("FATAL: COMLINK_ZMQ_PORT not set and no service id");
      process.exit(1);
    }
    try {
      await this._open(port);
    } catch (error) {
      console.error(`FATAL: ${error.message}`);
      process.exit(1);
    }
    this._takeConsole();
    for (const name of ["SIGTERM", "SIGINT"]) {
      process.on(name, () => this.stop());
    }
    for await (const frames of this.router) {
      await this._receive(frames);
      if (!this.running) {
        break;
      }
    }
    await this._end();
  }

  async _open(port) {
    this.router = new zmq.Router();
    if (port) {
      const number = parseInt(port, 10);
      if (!(number >= 1024 && number <= 65535)) {
        throw new Error(`Invalid port '${port}'`);
      }
      this.router.events.on("handshake", () => (this.connected = true));
      this.router.events.on("disconnect", () => (this.connected = false));
      this.router.connect(`tcp://localhost:${number}`);
    } else {
      await this.router.bind(`tcp://*:${await registry.register(this.service)}`);
      this.connected = true;
    }
    this.running = true;
  }

  // Once the parent's socket is gone this ends nothing, and only SIGKILL does.
  stop() {
    if (this.connected) {
      this.running = false;
      this._end();
    }
  }

  async _end() {
    if (!process.env.COMLINK_ZMQ_PORT) {
      await registry.unregister(this.service);
    }
    process.exit(0);
  }

  _takeConsole() {
    console.log = (...words) => this._sendOutput("stdout", util.format(...words));
    console.error = (...words) => this._sendOutput("stderr", util.format(...words));
  }

  // ---- Messages ----

  _send(peer, payload) {
    this.queue = this.queue.then(() => this.router.send([peer, EMPTY, payload])).catch(() => {});
    return this.queue;
  }

  _sendOutput(type, output) {
    if (this.peer !== null) {
      this._send(this.peer, wire.pack(wire.message(type, null, { output })));
    }
  }

  async _receive(frames) {
    this.peer = frames[0];
    try {
      if (frames.length < 3) {
        throw new Error("too few frames");
      }
      await this._handle(frames[0], wire.unpack(frames[2]));
    } catch {
      console.error("ERROR: Failed to process message: {}");
    }
  }

  async _handle(peer, fields) {
    if (fields.app !== wire.APP) {
      return;
    }
    if (fields.namespace && fields.namespace !== this.namespace) {
      return;
    }
    if (fields.type === "call") {
      await this._answer(peer, fields);
    } else if (fields.type === "heartbeat") {
      // No metadata: a Python peer learns nothing from it.
      await this._send(
        peer,
        wire.pack(wire.message("heartbeat", fields.id, { args: fields.args })),
      );
    } else if (fields.type === "shutdown") {
      this.running = false;
    }
  }

  async _answer(peer, fields) {
    let answer;
    try {
      answer = wire.message("response", fields.id, { result: await this._call(fields) });
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      console.error(`ERROR: Function call failed: ${text}`);
      answer = wire.message("error", fields.id, { error: text });
    }
    try {
      await this._send(peer, wire.pack(answer));
    } catch (error) {
      // The caller hears nothing of it.
      console.error(`CRITICAL: Failed to send response: ${error.message}`);
    }
  }

  async _call({ function: name, id, args }) {
    if (!name || !id) {
      throw new Error("Message missing 'function' or 'id' field");
    }
    if (typeof this[name] !== "function") {
      throw new Error(`Function '${name}' not found or not callable`);
    }
    if (name.startsWith("_")) {
      throw new Error(`Cannot call private method '${name}'`);
    }
    return this[name].apply(this, args === undefined || args === null ? [] : args);
  }
}

module.exports = { Child };
