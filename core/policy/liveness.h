/* Whether a peer is alive, busy or frozen, as its silence shows it: a pure state machine, fed by
 * missed heartbeats and by what else is known of the peer.
 *
 * Many peers answer heartbeats in turn with calls, so a late answer proves nothing. A heartbeat is
 * a miss only if no message at all came since it was sent. As many misses in a row as the limit
 * mean that the peer is frozen, if something rules out that it only works: the peer owes no answer
 * to a call, or its heartbeat answers carry `busy_ms` (then it answers while a function runs), or
 * its process is stopped. Otherwise the peer counts as busy, and the calls' timeouts decide. */
#ifndef MFI_POLICY_LIVENESS_H
#define MFI_POLICY_LIVENESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct mfi_liveness {
    uint32_t limit;     /* misses in a row */
    uint32_t misses;    /* in a row */
    uint64_t missed_ns; /* time of the last miss; 0: there was none */
    bool frozen;        /* since the last miss, until a message comes */
} mfi_liveness;

/* What is known when the time of a heartbeat is over. All times are monotonic. */
typedef struct mfi_silence {
    uint64_t sent_ns;  /* when the heartbeat was sent, or should have been */
    uint64_t now_ns;   /* when its time was over */
    uint64_t heard_ns; /* when the last message came; 0: none came */
    bool owes;         /* a call was sent to the peer and is not answered */
    bool says_busy;    /* a heartbeat answer of this peer carried `busy_ms` */
    bool stopped;      /* the system says that the process is stopped */
} mfi_silence;

typedef enum mfi_verdict {
    MFI_VERDICT_ALIVE,  /* another message came meanwhile: the heartbeat is late, and no miss */
    MFI_VERDICT_MISSED, /* a miss, below the limit */
    MFI_VERDICT_BUSY,   /* the limit is reached, but the peer may work */
    MFI_VERDICT_FROZEN  /* the limit is reached, and the peer does not work */
} mfi_verdict;

/* Also for another peer, of which nothing is known. */
void mfi_liveness_init(mfi_liveness *liveness, uint32_t limit);
/* The time of a heartbeat is over, without an answer. */
mfi_verdict mfi_liveness_missed(mfi_liveness *liveness, const mfi_silence *silence);
/* Misses in a row, up to now: none if a message came after the last one. */
uint32_t mfi_liveness_misses(const mfi_liveness *liveness, uint64_t heard_ns);
bool mfi_liveness_is_frozen(const mfi_liveness *liveness, uint64_t heard_ns);

#endif
