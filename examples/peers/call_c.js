// JavaScript calls C: the service of examples/connect_service.c.
"use strict";
const { Client } = require("./multifrost_peer");

async function main() {
  const greeter = await Client.connect("greeter");
  console.log(await greeter.call("greet", "Ada"));
  await greeter.call("greet", 1).catch((error) => console.log(error.message));
  greeter.close();
}

main();
