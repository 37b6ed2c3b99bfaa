// Runs the JavaScript parent by lines on stdin, as conformance_parent does in C. Further lines:
//
//     heartbeats  ->  heartbeats SENT ANSWERED MISSED
//     healthy     ->  healthy true | healthy false
//     shutdown    ->  shutdown sent
//     quit        ->  exited STATUS (spawn mode), then the end
"use strict";
const readline = require("node:readline");
const { Parent } = require("./parent");
const { plain } = require("./wire");

const hex = (text) => Buffer.from(text).toString("hex") || "-";

function options() {
  const names = { "--interval": "heartbeatInterval", "--timeout": "heartbeatTimeout" };
  const found = {};
  process.argv.forEach((word, at) => {
    if (names[word]) {
      found[names[word]] = Number(process.argv[at + 1]);
    }
  });
  return found;
}

function kindOf(error) {
  return error.kind || (/shutting down/.test(error.message) ? "notrunning" : "other");
}

async function call(parent, [tag, name, namespace, timeout, args]) {
  try {
    const list = plain.unpack(Buffer.from(args, "hex"));
    const clientName = process.env.MF_CLIENT_NAME;
    const result = await parent.call(name, list, { namespace, timeout: Number(timeout), clientName });
    console.log(`ok ${tag} ${plain.pack(result === undefined ? null : result).toString("hex")}`);
  } catch (error) {
    console.log(`err ${tag} ${kindOf(error)} ${hex(error.message)}`);
  }
}

async function serve(parent) {
  const commands = {
    call: (words) => void call(parent, words),
    rtt: () => console.log(parent.rtt === null ? "rtt none" : `rtt ${parent.rtt}`),
    heartbeats: () => console.log(`heartbeats ${Object.values(parent.heartbeats).join(" ")}`),
    healthy: () => console.log(`healthy ${parent.isHealthy}`),
    shutdown: async () => {
      await parent.sendShutdown();
      console.log("shutdown sent");
    },
  };
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [word, ...words] = line.split(" ");
    if (word === "quit") {
      break;
    }
    await commands[word](words);
  }
}

async function main() {
  const [mode, ...words] = process.argv.slice(2);
  const parent = new Parent(options());
  if (mode === "spawn") {
    await parent.spawn(words[1], words[0]);
  } else {
    await parent.connect(words[0]);
  }
  console.log("ready");
  await serve(parent);
  await parent.stop();
  if (mode === "spawn") {
    console.log(`exited ${parent.process.exitCode}`);
  }
  process.exit(0);
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
