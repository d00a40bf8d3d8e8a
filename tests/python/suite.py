"""The mesh as a Python program sees it, through grpcio and code generated from our protos."""

import os
import threading
import unittest
import uuid

import grpc
from google.protobuf import field_mask_pb2, struct_pb2
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from one.events.v1 import event_pb2, event_pb2_grpc
from one.identity.v1 import group_pb2, group_pb2_grpc, key_pb2, key_pb2_grpc
from one.ontology.v1 import thing_pb2, thing_pb2_grpc

TIMEOUT = 30


def details(error, kind):
    """The detail of that kind in an error's google.rpc.Status."""
    for detail in rpc_status.from_call(error).details:
        if detail.Is(kind.DESCRIPTOR):
            found = kind()
            detail.Unpack(found)
            return found
    return None


class Suite(unittest.TestCase):
    def setUp(self):
        self.channel = grpc.insecure_channel(os.environ["ONE_TEST_GATEWAY"])
        self.addCleanup(self.channel.close)
        self.me = [("authorization", "Bearer " + os.environ["ONE_TEST_KEY"])]
        self.other = [("x-api-key", os.environ["ONE_TEST_OTHER_KEY"])]
        self.things = thing_pb2_grpc.ThingServiceStub(self.channel)
        self.events = event_pb2_grpc.EventServiceStub(self.channel)
        self.keys = key_pb2_grpc.KeyServiceStub(self.channel)
        self.groups = group_pb2_grpc.GroupServiceStub(self.channel)

    def call(self, rpc, request, metadata=None):
        return rpc(request, metadata=metadata or self.me, timeout=TIMEOUT)

    def create(self, name, **properties):
        thing = thing_pb2.Thing(type="product", name=name)
        thing.properties.update(properties)
        return self.call(self.things.CreateThing, thing_pb2.CreateThingRequest(thing=thing, request_id=str(uuid.uuid4())))

    def refused(self, rpc, request, metadata=None):
        with self.assertRaises(grpc.RpcError) as raised:
            self.call(rpc, request, metadata)
        return raised.exception, details(raised.exception, error_details_pb2.ErrorInfo)

    def test_a_thing_is_created_read_listed_changed_and_archived(self):
        made = self.create("Tea", price=12, tags=["green", "loose"])
        self.assertEqual(made.properties["price"], 12)
        self.assertEqual(self.call(self.things.GetThing, thing_pb2.GetThingRequest(id=made.id)), made)
        listed = self.call(self.things.ListThings, thing_pb2.ListThingsRequest(filter='properties.price = 12 AND name = "Tea"'))
        self.assertIn(made.id, [thing.id for thing in listed.things])

        properties = struct_pb2.Struct()
        properties.update({"price": 14})
        change = thing_pb2.UpdateThingRequest(
            thing=thing_pb2.Thing(id=made.id, etag=made.etag, properties=properties),
            update_mask=field_mask_pb2.FieldMask(paths=["properties.price"]),
        )
        changed = self.call(self.things.UpdateThing, change)
        self.assertEqual((changed.properties["price"], list(changed.properties["tags"]), changed.revision), (14, ["green", "loose"], 2))
        error, info = self.refused(self.things.UpdateThing, change)
        self.assertEqual((error.code(), info.reason), (grpc.StatusCode.ABORTED, "ETAG_MISMATCH"))
        archived = self.call(self.things.DeleteThing, thing_pb2.DeleteThingRequest(id=made.id))
        self.assertEqual(archived.status, "archived")

    def test_errors_carry_their_reason_and_fields(self):
        error, info = self.refused(self.things.CreateThing, thing_pb2.CreateThingRequest(thing=thing_pb2.Thing(type="product")))
        self.assertEqual((error.code(), info.domain, info.reason), (grpc.StatusCode.INVALID_ARGUMENT, "onemesh", "INVALID_FIELD"))
        violations = details(error, error_details_pb2.BadRequest).field_violations
        self.assertEqual([violation.field for violation in violations], ["thing.name"])
        error, info = self.refused(self.things.GetThing, thing_pb2.GetThingRequest(id=str(uuid.uuid4())))
        self.assertEqual((error.code(), info.reason), (grpc.StatusCode.NOT_FOUND, "THING_NOT_FOUND"))

    def test_another_tenants_thing_is_not_there(self):
        made = self.create("mine")
        error, info = self.refused(self.things.GetThing, thing_pb2.GetThingRequest(id=made.id), self.other)
        self.assertEqual((error.code(), info.reason), (grpc.StatusCode.NOT_FOUND, "THING_NOT_FOUND"))

    def test_a_watch_sees_what_comes_and_resumes(self):
        stream = self.events.WatchEvents(event_pb2.WatchEventsRequest(now=True), metadata=self.me)
        answers = iter(stream)
        next(answers)
        watchdog = threading.Timer(TIMEOUT, stream.cancel)
        watchdog.start()
        self.addCleanup(watchdog.cancel)
        made = self.create("watched")
        # What the tests before this one did may still be on its way into the log.
        first = next(answer for answer in answers if made.id in [event.target.id for event in answer.events])
        self.assertEqual(first.events[-1].type, "entity_created")
        stream.cancel()
        later = self.create("later")
        resumed = self.events.WatchEvents(event_pb2.WatchEventsRequest(cursor=first.cursor), metadata=self.me, timeout=TIMEOUT)
        answer = next(answer for answer in resumed if answer.events)
        self.assertEqual([event.target.id for event in answer.events], [later.id])
        resumed.cancel()

    def test_who_am_i_and_a_key_with_less(self):
        caller = self.call(self.keys.GetCaller, key_pb2.GetCallerRequest())
        self.assertEqual(caller.role, "group_owner")
        made = self.call(self.keys.CreateKey, key_pb2.CreateKeyRequest(key=key_pb2.Key(name="reader", scopes=["things:read"])))
        reader = [("authorization", "Bearer " + made.secret)]
        self.call(self.things.ListThings, thing_pb2.ListThingsRequest(), reader)
        error, info = self.refused(self.things.CreateThing, thing_pb2.CreateThingRequest(thing=thing_pb2.Thing(type="product", name="A")), reader)
        self.assertEqual((error.code(), info.reason), (grpc.StatusCode.PERMISSION_DENIED, "INSUFFICIENT_SCOPES"))

    def test_groups_nest(self):
        home = self.call(self.keys.GetCaller, key_pb2.GetCallerRequest()).group_id
        team = self.call(self.groups.CreateGroup, group_pb2.CreateGroupRequest(group=group_pb2.Group(name="team"), parent_id=home))
        self.assertEqual((team.parent_id, team.root_id), (home, home))


if __name__ == "__main__":
    unittest.main()
