// A small worker and a small caller in JavaScript for the protocol comlink_ipc_v3, built on the
// packages zeromq and msgpackr.
//
//   new Worker({ add: (a, b) => a + b }).run();
//
//   const math = await Client.connect("math");
//   console.log(await math.call("add", 1, 2));
//   math.close();
"use strict";
const crypto = require("node:crypto");
const fs = require("node:fs/promises");
const path = require("node:path");
const { Packr } = require("msgpackr");
const zmq = require("zeromq");

const APP = "comlink_ipc_v3";
const EMPTY = Buffer.alloc(0);
const packr = new Packr({ useRecords: false, int64AsType: "number" });
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// A message with the four fields that every message has.
const message = (type, id, fields) => ({
  app: APP,
  id: id ?? crypto.randomUUID(),
  type,
  timestamp: Date.now() / 1000,
  ...fields,
});

// The message in the frames, or null if they hold no message of this protocol.
function read(payload) {
  try {
    const fields = packr.unpack(payload);
    return fields && fields.app === APP && fields.id ? fields : null;
  } catch {
    return null;
  }
}

// Answers the calls of the parent that spawned this process.
class Worker {
  constructor(functions) {
    this.functions = new Map(Object.entries(functions));
    this.sending = Promise.resolve(); // a socket sends one message at a time
  }

  async run() {
    this.router = new zmq.Router({ linger: 500 });
    this.router.connect(`tcp://127.0.0.1:${Number(process.env.COMLINK_ZMQ_PORT)}`);
    for (const name of ["SIGTERM", "SIGINT"]) {
      process.on(name, () => this.router.close());
    }
    for await (const [route, , payload] of this.router) {
      const fields = payload && read(payload);
      if (fields?.type === "shutdown") {
        break;
      } else if (fields?.type === "heartbeat") {
        const metadata = { hb_timestamp: fields.metadata?.hb_timestamp, hb_response: true };
        this._send(route, message("heartbeat", fields.id, { args: fields.args, metadata }));
      } else if (fields?.type === "call" && fields.namespace === "default") {
        this._serve(route, fields);
      }
    }
    await this.sending;
    process.exit(0);
  }

  async _serve(route, call) {
    let answer;
    try {
      const run = this.functions.get(call.function);
      if (!run) {
        throw new Error(`Function '${call.function}' not found`);
      }
      const result = await run(...(call.args ?? []));
      answer = message("response", call.id, { result: result ?? null });
    } catch (error) {
      answer = message("error", call.id, { error: `${error.name}: ${error.message}` });
    }
    this._send(route, answer);
  }

  _send(route, fields) {
    const send = () => this.router.send([route, EMPTY, packr.pack(fields)]);
    this.sending = this.sending.then(send).catch(() => {}); // the caller may be gone
  }
}

// Calls a service that is found by its name in the service registry.
class Client {
  static async connect(service, discoveryMs = 5000) {
    const file = path.join(process.env.HOME, ".multifrost", "services.json");
    for (const deadline = Date.now() + discoveryMs; Date.now() < deadline; await pause(100)) {
      try {
        const { pid, port } = JSON.parse(await fs.readFile(file, "utf8"))[service];
        process.kill(pid, 0); // throws for an entry that a dead process left
        return new Client(port);
      } catch {
        // the service has not registered yet
      }
    }
    throw new Error(`Service '${service}' not found within ${discoveryMs} ms`);
  }

  constructor(port) {
    this.pending = new Map();
    this.sending = Promise.resolve();
    this.dealer = new zmq.Dealer({ linger: 0 });
    this.dealer.connect(`tcp://127.0.0.1:${port}`);
    this._receive();
  }

  call(name, ...args) {
    const call = message("call", null, { function: name, args, namespace: "default" });
    return new Promise((resolve, reject) => {
      const late = () => reject(new Error(`Function '${name}' timed out after 30000 ms`));
      this.pending.set(call.id, { resolve, reject, timer: setTimeout(late, 30000) });
      const send = () => this.dealer.send([EMPTY, packr.pack(call)]);
      this.sending = this.sending.then(send).catch(reject);
    });
  }

  close() {
    this.dealer.close();
  }

  async _receive() {
    for await (const [, payload] of this.dealer) {
      const fields = payload && read(payload);
      const call = fields && this.pending.get(fields.id);
      if (call && (fields.type === "response" || fields.type === "error")) {
        this.pending.delete(fields.id);
        clearTimeout(call.timer);
        if (fields.type === "response") {
          call.resolve(fields.result);
        } else {
          call.reject(new Error(fields.error));
        }
      }
    }
  }
}

module.exports = { Client, Worker };
