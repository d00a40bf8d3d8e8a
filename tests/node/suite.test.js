// The mesh as a Node program and as a browser see it: @grpc/grpc-js, and a grpc-web client, with code generated from our protos.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import grpc from "@grpc/grpc-js";

const clients = new URL("../../target/clients/node/", import.meta.url);
const { ThingService, ThingSchema } = await import(new URL("one/ontology/v1/thing_pb.js", clients));
const { EventService } = await import(new URL("one/events/v1/event_pb.js", clients));
const { KeyService } = await import(new URL("one/identity/v1/key_pb.js", clients));
const { BadRequestSchema, ErrorInfoSchema } = await import(new URL("google/rpc/error_details_pb.js", clients));
const { StatusSchema } = await import(new URL("google/rpc/status_pb.js", clients));

const gateway = process.env.ONE_TEST_GATEWAY;
const key = process.env.ONE_TEST_KEY;
const otherKey = process.env.ONE_TEST_OTHER_KEY;
const signal = () => AbortSignal.timeout(30_000);

// === grpc-js ===

/** A grpc-js client for a generated service. */
function grpcClient(service) {
  const methods = Object.entries(service.method).map(([name, method]) => [
    name,
    {
      path: `/${service.typeName}/${method.name}`,
      requestStream: false,
      responseStream: method.methodKind === "server_streaming",
      requestSerialize: (message) => Buffer.from(toBinary(method.input, create(method.input, message))),
      requestDeserialize: (bytes) => fromBinary(method.input, bytes),
      responseSerialize: (message) => Buffer.from(toBinary(method.output, message)),
      responseDeserialize: (bytes) => fromBinary(method.output, bytes),
    },
  ]);
  const Client = grpc.makeGenericClientConstructor(Object.fromEntries(methods), service.typeName);
  return new Client(gateway, grpc.credentials.createInsecure());
}

function metadata(key) {
  const headers = new grpc.Metadata();
  headers.set("authorization", `Bearer ${key}`);
  return headers;
}

/** A unary call as a promise. */
const call = (client, method, request, as = key) =>
  new Promise((resolve, reject) => {
    const deadline = Date.now() + 30_000;
    client[method](request, metadata(as), { deadline }, (error, answer) => (error ? reject(error) : resolve(answer)));
  });

/** The google.rpc details of a grpc-js error, by kind. */
function detail(error, schema) {
  const [bytes] = error.metadata.get("grpc-status-details-bin");
  const found = fromBinary(StatusSchema, bytes).details.find((any) => any.typeUrl.endsWith(`/${schema.typeName}`));
  return found && fromBinary(schema, found.value);
}

let things, events, keys;
before(() => {
  [things, events, keys] = [grpcClient(ThingService), grpcClient(EventService), grpcClient(KeyService)];
});
after(() => [things, events, keys].forEach((client) => client.close()));

const product = (name, properties = {}) => ({ thing: { type: "product", name, properties }, requestId: randomUUID() });

test("grpc-js: a thing is created, read, listed, changed and archived", async () => {
  const made = await call(things, "createThing", product("Tea", { price: 12, tags: ["green"] }));
  assert.deepEqual(made.properties, { price: 12, tags: ["green"] });
  assert.deepEqual(await call(things, "getThing", { id: made.id }), made);
  const listed = await call(things, "listThings", { filter: 'name = "Tea"' });
  assert.ok(listed.things.some((thing) => thing.id === made.id));
  const change = { thing: { id: made.id, etag: made.etag, name: "Coffee" }, updateMask: { paths: ["name"] } };
  assert.equal((await call(things, "updateThing", change)).name, "Coffee");
  const stale = await call(things, "updateThing", change).then(assert.fail, (error) => error);
  assert.equal(stale.code, grpc.status.ABORTED);
  assert.equal(detail(stale, ErrorInfoSchema).reason, "ETAG_MISMATCH");
  assert.equal((await call(things, "deleteThing", { id: made.id })).status, "archived");
});

test("grpc-js: errors carry their reason and fields", async () => {
  const error = await call(things, "createThing", product("")).then(assert.fail, (error) => error);
  assert.equal(error.code, grpc.status.INVALID_ARGUMENT);
  assert.equal(detail(error, ErrorInfoSchema).reason, "INVALID_FIELD");
  assert.deepEqual(detail(error, BadRequestSchema).fieldViolations.map((violation) => violation.field), ["thing.name"]);
});

test("grpc-js: another tenant's thing is not there", async () => {
  const made = await call(things, "createThing", product("mine"));
  const error = await call(things, "getThing", { id: made.id }, otherKey).then(assert.fail, (error) => error);
  assert.equal(error.code, grpc.status.NOT_FOUND);
});

test("grpc-js: a watch sees what comes", async () => {
  const stream = events.watchEvents({ from: { case: "now", value: true } }, metadata(key), { deadline: Date.now() + 30_000 });
  stream.on("error", () => {}); // leaving a stream early is an error to grpc-js
  let made;
  for await (const answer of stream) {
    made ??= await call(things, "createThing", product("watched"));
    const seen = answer.events.find((event) => event.target.id === made.id);
    if (seen) {
      assert.equal(seen.type, "entity_created");
      break;
    }
  }
  stream.cancel();
  assert.ok(made);
});

test("grpc-js: who am I", async () => {
  assert.equal((await call(keys, "getCaller", {})).role, "group_owner");
});

// === grpc-web, with fetch, as in a browser ===

const withKey = (next) => (request) => {
  request.header.set("authorization", `Bearer ${key}`);
  return next(request);
};
const transport = createGrpcWebTransport({ baseUrl: `http://${gateway}`, useBinaryFormat: true, interceptors: [withKey] });
const web = { things: createClient(ThingService, transport), events: createClient(EventService, transport) };

test("grpc-web: a thing is created and read", async () => {
  const made = await web.things.createThing(product("Tea", { price: 12 }), { signal: signal() });
  const read = await web.things.getThing({ id: made.id }, { signal: signal() });
  assert.deepEqual(toBinary(ThingSchema, read), toBinary(ThingSchema, made));
});

test("grpc-web: errors carry their reason", async () => {
  const error = await web.things.getThing({ id: randomUUID() }, { signal: signal() }).then(assert.fail, ConnectError.from);
  assert.equal(error.code, Code.NotFound);
  assert.equal(error.findDetails(ErrorInfoSchema)[0].reason, "THING_NOT_FOUND");
});

test("grpc-web: a watch sees what comes", async () => {
  const leave = new AbortController();
  const stream = web.events.watchEvents({ from: { case: "now", value: true } }, { signal: AbortSignal.any([leave.signal, signal()]) });
  let made;
  for await (const answer of stream) {
    made ??= await web.things.createThing(product("watched"), { signal: signal() });
    if (answer.events.some((event) => event.target.id === made.id)) break;
  }
  leave.abort(); // fetch keeps an answer open that is not read to its end
  assert.ok(made);
});
