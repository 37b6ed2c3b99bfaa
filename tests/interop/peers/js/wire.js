// Writes and reads messages as a JavaScript peer does.
"use strict";
const { randomUUID } = require("node:crypto");
const { Packr } = require("msgpackr");

const APP = "comlink_ipc_v3";
// Without records, and with map16 headers throughout; 64-bit integers are read as BigInt.
const packr = new Packr({ useRecords: false, variableMapSize: false, int64AsType: "bigint" });

// Walks arrays and objects of any class: bytes become maps of their indices, a Date or a Map {}.
function sanitize(value) {
  if (typeof value === "number") {
    return Number.isFinite(value) ? value : null;
  }
  if (Array.isArray(value)) {
    return value.map(sanitize);
  }
  if (value !== null && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, sanitize(item)]));
  }
  return value;
}

function message(type, id, fields) {
  return { app: APP, id: id || randomUUID(), type, timestamp: Date.now() / 1000, ...fields };
}

// Keys of the top level that are undefined are left out; further down they become an ext.
function pack(fields) {
  const kept = Object.entries(fields).filter(([, value]) => value !== undefined);
  return packr.pack(sanitize(Object.fromEntries(kept)));
}

function unpack(payload) {
  const fields = packr.unpack(payload);
  if (fields === null || typeof fields !== "object" || Array.isArray(fields)) {
    throw new Error("Ignoring invalid message");
  }
  const base = { app: APP, id: randomUUID(), timestamp: Date.now() / 1000 };
  for (const key of Object.keys(base)) {
    fields[key] = key in fields ? fields[key] : base[key];
  }
  return fields;
}

// Payloads and values that are not messages: for the test that drives a parent.
const plain = new Packr({ useRecords: false, int64AsType: "bigint" });

module.exports = { APP, message, pack, unpack, plain };
