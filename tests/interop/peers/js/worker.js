// The functions of the conformance worker, in JavaScript.
"use strict";
const fs = require("node:fs");
const { Child } = require("./child");

const line = (i) =>
  `line ${i} of a worker that talks a lot, and more than its parent may want to hear`;

class Worker extends Child {
  add(a, b) {
    return a + b;
  }

  multiply(a, b) {
    return a * b;
  }

  factorial(n) {
    return n < 2 ? 1 : n * this.factorial(n - 1);
  }

  fibonacci(n) {
    let [a, b] = [0, 1];
    for (let i = 0; i < n; i++) {
      [a, b] = [b, a + b];
    }
    return a;
  }

  greet(name) {
    return `Hello, ${name}!`;
  }

  divide(a, b) {
    if (b === 0) {
      throw new Error("division by zero");
    }
    return a / b;
  }

  echo(value) {
    return value;
  }

  sleep_ms(ms) {
    return new Promise((resolve) => setTimeout(() => resolve(ms), ms));
  }

  // What a call brought along does not get this far.
  metadata() {
    return {};
  }

  print_lines(count) {
    for (let i = 0; i < count; i++) {
      console.log(line(i));
    }
    return count;
  }

  print_error(text) {
    console.error(text);
    return null;
  }

  // Past console.log, to the descriptor.
  write_lines(count) {
    for (let i = 0; i < count; i += 1000) {
      const lines = [];
      for (let j = i; j < Math.min(count, i + 1000); j++) {
        lines.push(`${line(j)}\n`);
      }
      writeAll(Buffer.from(lines.join("")));
    }
    return count;
  }

  // Nothing else runs meanwhile.
  block_ms(ms) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
    return ms;
  }

  // Closes the connection, and goes on doing nothing.
  hang_up() {
    this.router.close();
    setInterval(() => {}, 1000);
    return new Promise(() => {});
  }

  nothing() {}

  _secret(a, b) {
    return a + b;
  }
}

// A pipe that its reader shares with nobody may still be non-blocking.
function writeAll(block) {
  for (let at = 0; at < block.length; ) {
    try {
      at += fs.writeSync(1, block, at);
    } catch (error) {
      if (error.code !== "EAGAIN") {
        throw error;
      }
    }
  }
}

function option(name, otherwise) {
  const at = process.argv.indexOf(name);
  return at < 0 ? otherwise : process.argv[at + 1];
}

const namespace = option("--namespace", process.env.MF_PEER_NAMESPACE || "default");
new Worker(option("--service", undefined), namespace).run();
