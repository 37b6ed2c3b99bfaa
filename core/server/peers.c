/* The peers of a worker, and the messages that wait for every peer.
 *
 * Every sender of a message is a peer, up to a bound. Beyond the bound, the table forgets the peer
 * with the fewest waiting messages; most often this is a peer with none. Of several such peers it
 * forgets the one that was silent longest. An answer goes to the route of its call; output goes to
 * every peer. A peer that accepts no messages has a queue of its own, so that other peers do not
 * wait for it.
 *
 * Every caller gets an answer, because it would wait for its timeout otherwise. In the place of an
 * answer that finds no room in the budget, a short error answer is sent, which needs no room, nor
 * do other short messages. A peer that does not even accept those is ended, so that its callers see
 * the end of the connection. libzmq ends no connection: there, what is beyond the bound is lost. */
#include "core/server/peers.h"

#include <stdlib.h>
#include <string.h>

#include "core/wire/envelope_fast.h"
#include "core/wire/limits.h"
#include "core/wire/reject.h"

#define NOBODY UINT32_MAX
#define LARGE_BYTES ((size_t)8 * 1024 * 1024) /* larger buffers are never reused (base/block.h) */
#define HEAD_BYTES ((size_t)1024)             /* of an answer: its id is among its first fields */
#define SHORT_BYTES MFI_MESSAGE_LEAST_BYTES   /* of a message that needs no room */
#define NOT_TAKEN "a peer does not take its messages"
#define NO_ROOM "ServerOverloaded: the answer finds no room in max_queued_bytes"

/* ---- Lists ---- */

/* Memory of a message in bytes. */
static size_t bytes_of(const mfi_out *out)
{
    /* The end of a very large buffer was never written, and so takes no memory. */
    bool is_large = out->buf.capacity > LARGE_BYTES;
    return sizeof *out + (is_large ? out->buf.size : out->buf.capacity);
}

static bool list_is_empty(const mfi_out_list *list)
{
    return list->outs.first == NULL;
}

static void list_count(mfi_out_list *list, const mfi_out *out)
{
    list->count++;
    list->short_ones += out->is_short ? 1 : 0;
    list->bytes += bytes_of(out);
}

static void list_append(mfi_out_list *list, mfi_out *out)
{
    mfi_chain_push_back(&list->outs, &out->node);
    list_count(list, out);
}

static void list_put_back(mfi_out_list *list, mfi_out *out)
{
    mfi_chain_push_front(&list->outs, &out->node);
    list_count(list, out);
}

static mfi_out *list_pop(mfi_out_list *list)
{
    mfi_chain_node *node = mfi_chain_pop_front(&list->outs);
    mfi_out *out = MFI_CONTAINER_OR_NULL(node, mfi_out, node);
    if (out != NULL) {
        list->count--;
        list->short_ones -= out->is_short ? 1 : 0;
        list->bytes -= bytes_of(out);
    }
    return out;
}

static void list_free(mfi_out_list *list)
{
    for (mfi_out *out = NULL; (out = list_pop(list)) != NULL;) {
        mfi_out_free(out);
    }
}

/* ---- The table ---- */

static bool is_at(const mfi_peer *peer, const mfi_route *route)
{
    return peer->route.size == route->size &&
           memcmp(peer->route.bytes, route->bytes, route->size) == 0;
}

static uint32_t find(const mfi_peers *peers, const mfi_route *route)
{
    if (peers->latest < peers->count && is_at(&peers->all[peers->latest], route)) {
        return peers->latest;
    }
    for (uint32_t i = 0; i < peers->count; i++) {
        if (is_at(&peers->all[i], route)) {
            return i;
        }
    }
    return NOBODY;
}

static void settle(mfi_peers *peers)
{
    mfi_budget_settle(peers->budget, &peers->charged, peers->waiting_bytes + peers->early.bytes);
}

static void drop_waiting(mfi_peers *peers, mfi_peer *peer, mfi_drop_reason reason, const char *text)
{
    peers->stalled -= !list_is_empty(&peer->waiting) ? 1 : 0;
    peers->waiting_bytes -= peer->waiting.bytes;
    for (mfi_out *out = NULL; (out = list_pop(&peer->waiting)) != NULL;) {
        mfi_channel_dropped(peers->channel, reason, text, out->buf.size);
        mfi_out_free(out);
    }
    settle(peers);
}

/* Messages that still wait for the peer are lost. The last peer in the table takes its index. */
static void remove_peer(mfi_peers *peers, uint32_t index, mfi_drop_reason reason, const char *text)
{
    drop_waiting(peers, &peers->all[index], reason, text);
    peers->all[index] = peers->all[--peers->count];
}

static uint32_t peer_to_forget(const mfi_peers *peers)
{
    uint32_t least = 0;
    for (uint32_t i = 1; i < peers->count; i++) {
        const mfi_peer *each = &peers->all[i];
        const mfi_peer *best = &peers->all[least];
        bool less = each->waiting.count != best->waiting.count
                        ? each->waiting.count < best->waiting.count
                        : each->heard < best->heard;
        least = less ? i : least;
    }
    return least;
}

static bool make_room(mfi_peers *peers)
{
    if (peers->count == MFI_CHILD_PEERS_MAX) {
        remove_peer(peers, peer_to_forget(peers), MFI_DROP_HWM,
                    "too many peers: one was forgotten");
    }
    if (peers->count < peers->capacity) {
        return true;
    }
    uint32_t capacity = peers->capacity != 0 ? peers->capacity * 2 : 1;
    mfi_peer *grown = realloc(peers->all, capacity * sizeof *grown);
    if (grown != NULL) {
        peers->all = grown;
        peers->capacity = capacity;
    }
    return grown != NULL;
}

void mfi_peers_init(mfi_peers *peers, mfi_channel *channel, mfi_budget *budget)
{
    *peers = (mfi_peers){.channel = channel, .budget = budget};
}

void mfi_peers_heard(mfi_peers *peers, const mfi_route *route)
{
    uint32_t index = find(peers, route);
    if (index == NOBODY) {
        if (route->size == 0 || !make_room(peers)) {
            return; /* the peer gets its answers, but no output */
        }
        index = peers->count++;
        mfi_peer *peer = &peers->all[index];
        peer->route.size = route->size;
        memcpy(peer->route.bytes, route->bytes, route->size);
        peer->waiting = (mfi_out_list){0};
    }
    peers->all[index].heard = ++peers->heard;
    peers->latest = index;
}

/* ---- Short messages ---- */

/* Makes a short error answer of an answer. False if it is none, or without memory. */
static bool make_short(const mfi_channel *channel, mfi_out *out)
{
    char id[MFI_ID_MAX_BYTES];
    mfi_envelope envelope;
    mfi_reject why = MFI_REJECT_NONE;
    size_t head = out->buf.size < HEAD_BYTES ? out->buf.size : HEAD_BYTES;
    double now = mfi_wall_seconds(mfi_monotonic_ns());
    mfi_reply_times times = {.timestamp_received = now};
    if (out->traffic == MFI_TRAFFIC_OUTPUT) {
        return false;
    }
    (void)!mfi_envelope_decode_general(out->buf.data, head, &channel->limits, &envelope, &why,
                                       NULL);
    if (envelope.id.size == 0 || envelope.id.size > sizeof id) {
        return false;
    }
    memcpy(id, envelope.id.data, envelope.id.size);
    mfi_buf_reuse(&out->buf, 0, channel->max_message_bytes);
    out->traffic = MFI_TRAFFIC_ERROR;
    out->is_short = true;
    return mfi_encode_error(&out->buf, (mfi_text){id, envelope.id.size},
                            (mfi_text){NO_ROOM, sizeof NO_ROOM - 1}, now, &times, NULL) == MF_OK;
}

/* The message that is sent in the place of one that finds no room: a short one itself, a short
 * answer, or NULL for output. */
static mfi_out *replace(const mfi_peers *peers, mfi_out *out)
{
    if (out->traffic != MFI_TRAFFIC_OUTPUT && out->buf.size <= SHORT_BYTES) {
        out->is_short = true;
        return out;
    }
    mfi_channel_dropped(peers->channel, MFI_DROP_HWM, NOT_TAKEN, out->buf.size);
    if (make_short(peers->channel, out)) {
        return out;
    }
    mfi_out_free(out);
    return NULL;
}

/* Short messages take the place of those that wait for the peer; the rest is dropped. */
static void shorten_waiting(mfi_peers *peers, mfi_peer *peer)
{
    mfi_out_list before = peer->waiting;
    mfi_out_list *after = &peer->waiting;
    *after = (mfi_out_list){0};
    for (mfi_out *out = NULL; (out = list_pop(&before)) != NULL;) {
        if (after->short_ones == MFI_CHILD_SHORT_MAX) {
            mfi_channel_dropped(peers->channel, MFI_DROP_HWM, NOT_TAKEN, out->buf.size);
            mfi_out_free(out);
            continue;
        }
        out = out->is_short ? out : replace(peers, out);
        if (out != NULL) {
            list_append(after, out);
        }
    }
    peers->stalled -= list_is_empty(after) ? 1 : 0;
}

/* ---- Peers that take no messages ---- */

/* Drops what waits for the peer, and ends its connection. The peer stays in the table until it is
 * found to be gone. */
static void end_peer(mfi_peers *peers, mfi_peer *peer)
{
    mfi_transport *transport = peers->channel->transport;
    drop_waiting(peers, peer, MFI_DROP_HWM, NOT_TAKEN);
    if (transport->ops->end != NULL) {
        transport->ops->end(transport, &peer->route);
    }
}

/* Ends the peer with the most waiting bytes, if these are more than `most`. Where no connection can
 * be ended, the messages that wait for that peer are shortened; short ones alone are left to it. */
static bool end_most_waiting(mfi_peers *peers, uint32_t spared, size_t most)
{
    bool ends = peers->channel->transport->ops->end != NULL;
    mfi_peer *found = NULL;
    for (uint32_t i = 0; i < peers->count; i++) {
        mfi_peer *each = &peers->all[i];
        bool can_give = ends || each->waiting.count > each->waiting.short_ones;
        if (i != spared && can_give && each->waiting.bytes > most) {
            most = each->waiting.bytes;
            found = each;
        }
    }
    if (found != NULL && ends) {
        end_peer(peers, found);
    } else if (found != NULL) {
        peers->waiting_bytes -= found->waiting.bytes;
        shorten_waiting(peers, found);
        peers->waiting_bytes += found->waiting.bytes;
        settle(peers);
    }
    return found != NULL;
}

bool mfi_peers_make_room(mfi_peers *peers, const mfi_route *route, size_t bytes)
{
    mfi_transport *transport = peers->channel->transport;
    uint32_t index = find(peers, route);
    size_t own = bytes + (index != NOBODY ? peers->all[index].waiting.bytes : 0);
    while (mfi_budget_free(peers->budget) < bytes) {
        bool ends = end_most_waiting(peers, index, own) ||
                    (transport->ops->end_largest != NULL &&
                     transport->ops->end_largest(transport, route, own));
        if (!ends) {
            return false;
        }
    }
    return true;
}

/* Whether the message finds room while it waits, here or in the transport. Where nothing else
 * waits it always does. */
static inline bool fits(mfi_peers *peers, const mfi_route *route, const mfi_out *out)
{
    if (mfi_budget_held(peers->budget) == 0) {
        return true;
    }
    size_t bytes = bytes_of(out);
    return bytes <= mfi_budget_free(peers->budget) || mfi_peers_make_room(peers, route, bytes);
}

/* More short messages wait for the peer than may. */
static void refuse_short(mfi_peers *peers, uint32_t index, mfi_out *out)
{
    mfi_channel_dropped(peers->channel, MFI_DROP_HWM, NOT_TAKEN, out->buf.size);
    mfi_out_free(out);
    if (index != NOBODY && peers->channel->transport->ops->end != NULL) {
        end_peer(peers, &peers->all[index]);
    }
}

/* Keeps a message for later, within the number of messages of this peer. Output has the lower
 * bound, so that a flood of output leaves room for answers. */
static void keep(mfi_peers *peers, uint32_t index, mfi_out *out)
{
    mfi_out_list *waiting = index != NOBODY ? &peers->all[index].waiting : NULL;
    uint32_t most =
        out->traffic == MFI_TRAFFIC_OUTPUT ? MFI_CHILD_OUTPUTS_MAX : MFI_CHILD_PEER_WAITING_MAX;
    if (out->is_short && (waiting == NULL || waiting->short_ones == MFI_CHILD_SHORT_MAX)) {
        refuse_short(peers, index, out);
        return;
    }
    if (waiting == NULL || waiting->count >= most) {
        mfi_channel_dropped(peers->channel, MFI_DROP_HWM, NOT_TAKEN, out->buf.size);
        mfi_out_free(out);
        return;
    }
    peers->stalled += list_is_empty(waiting) ? 1 : 0;
    peers->waiting_bytes += bytes_of(out);
    list_append(waiting, out);
    settle(peers);
}

/* Sends a message by the transport. False if the peer does not accept it now; then the caller still
 * owns it. */
static bool transmit(const mfi_channel *channel, const mfi_route *route, mfi_out *out,
                     bool *ret_gone)
{
    size_t bytes = out->buf.size;
    mfi_transport *transport = channel->transport;
    mfi_io io = transport->ops->send(transport, route, &out->buf);
    *ret_gone = io == MFI_IO_UNROUTABLE;
    if (io == MFI_IO_AGAIN) {
        return false;
    }
    if (io == MFI_IO_DONE) {
        mfi_observe_traffic(channel->observed, MFI_DIRECTION_SENT, out->traffic, bytes);
        /* Output to a peer that is gone is not counted as lost. */
    } else if (out->traffic != MFI_TRAFFIC_OUTPUT) {
        mfi_channel_dropped(channel, MFI_DROP_UNROUTABLE, "the peer of an answer is gone", bytes);
    }
    mfi_out_free(out);
    return true;
}

static void send_to(mfi_peers *peers, uint32_t index, const mfi_route *route, mfi_out *out)
{
    bool gone = false;
    out = fits(peers, route, out) ? out : replace(peers, out);
    if (out == NULL) {
        return;
    }
    bool behind_others = index != NOBODY && !list_is_empty(&peers->all[index].waiting);
    if (behind_others || !transmit(peers->channel, route, out, &gone)) {
        keep(peers, index, out);
    } else if (gone && index != NOBODY) {
        remove_peer(peers, index, MFI_DROP_UNROUTABLE, "the peer of an answer is gone");
    }
}

static mfi_out *copy_of(const mfi_channel *channel, const mfi_out *out)
{
    mfi_out *copy = mfi_out_make(channel, out->traffic, NULL);
    if (copy != NULL) {
        mfi_buf_append(&copy->buf, out->buf.data, out->buf.size);
        if (copy->buf.failed) {
            mfi_out_free(copy);
            copy = NULL;
        }
    }
    return copy;
}

static void broadcast(mfi_peers *peers, mfi_out *out)
{
    /* Backwards, because a removed peer is replaced by one that was sent the line already. */
    for (uint32_t i = peers->count; i-- > 0;) {
        mfi_out *each = i == 0 ? out : copy_of(peers->channel, out);
        if (each == NULL) {
            mfi_channel_dropped(peers->channel, MFI_DROP_HWM, "no memory for a line of output",
                                out->buf.size);
            continue;
        }
        mfi_route route = peers->all[i].route;
        each->route = route;
        send_to(peers, i, &route, each);
    }
}

/* Before the first peer output has at most half of the budget, so that calls find room. */
static bool has_early_room(const mfi_peers *peers, const mfi_out *out)
{
    size_t bytes = bytes_of(out);
    return peers->early.count < MFI_CHILD_OUTPUTS_MAX &&
           (peers->budget == NULL || (peers->early.bytes + bytes <= peers->budget->most / 2 &&
                                      bytes <= mfi_budget_free(peers->budget)));
}

void mfi_peers_send(mfi_peers *peers, mfi_out *out)
{
    if (out->route.size != 0) {
        send_to(peers, find(peers, &out->route), &out->route, out);
    } else if (peers->count != 0) {
        broadcast(peers, out);
    } else if (has_early_room(peers, out)) {
        list_append(&peers->early, out);
        settle(peers);
    } else {
        mfi_channel_dropped(peers->channel, MFI_DROP_HWM, "output, and nobody to send it to",
                            out->buf.size);
        mfi_out_free(out);
    }
}

void mfi_peers_retry(mfi_peers *peers)
{
    while (peers->count != 0 && !list_is_empty(&peers->early)) {
        mfi_out *out = list_pop(&peers->early);
        settle(peers); /* the line is charged where it waits next */
        broadcast(peers, out);
    }
    for (uint32_t i = peers->count; i-- > 0 && peers->stalled != 0;) {
        mfi_peer *peer = &peers->all[i];
        bool gone = false;
        bool had = !list_is_empty(&peer->waiting);
        size_t before = peer->waiting.bytes;
        while (!gone && !list_is_empty(&peer->waiting)) {
            mfi_out *out = list_pop(&peer->waiting);
            if (!transmit(peers->channel, &peer->route, out, &gone)) {
                list_put_back(&peer->waiting, out);
                break;
            }
        }
        peers->waiting_bytes -= before - peer->waiting.bytes;
        settle(peers);
        peers->stalled -= had && list_is_empty(&peer->waiting) ? 1 : 0;
        if (gone) {
            remove_peer(peers, i, MFI_DROP_UNROUTABLE, "the peer of an answer is gone");
        }
    }
}

void mfi_peers_clear(mfi_peers *peers)
{
    for (uint32_t i = 0; i < peers->count; i++) {
        list_free(&peers->all[i].waiting);
    }
    list_free(&peers->early);
    free(peers->all);
    mfi_budget_sub(peers->budget, peers->charged);
    mfi_peers_init(peers, peers->channel, peers->budget);
}
