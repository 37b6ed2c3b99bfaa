// A worker in JavaScript, for callers in any language.
"use strict";
const { Worker } = require("./multifrost_peer");

new Worker({ add: (a, b) => a + b, greet: (name) => `Hello, ${name}!` }).run();
