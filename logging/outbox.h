/* The lines that wait for one sink: a bounded queue of texts with one producer (the log writer) and
 * one consumer (the thread that writes to the sink). It exists so that a sink that takes no lines
 * holds back its own lines and no others. The functions take no lock, so that a signal handler can
 * read the queue while the consumer works. */
#ifndef MFI_LOGGING_OUTBOX_H
#define MFI_LOGGING_OUTBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define MFI_OUTBOX_BYTES ((size_t)1 << 20) /* of the texts */
#define MFI_OUTBOX_LINES ((size_t)8192)

/* One line, or a gap: records that found no room here, and have no text. */
typedef struct mfi_line {
    uint64_t first_seq, last_seq; /* the records that the line tells of; mostly one */
    uint64_t at;                  /* where the text begins */
    uint32_t size;                /* of the text with its newline; 0 for a gap */
    uint8_t level;
    int16_t error; /* of a gap: errno, or 0 if the outbox was full */
} mfi_line;

typedef struct mfi_outbox {
    char *text;
    mfi_line *lines;
    uint64_t text_head;         /* producer */
    _Atomic(uint64_t) head;     /* lines put since the start; release by the producer */
    _Atomic(uint64_t) tail;     /* lines popped; release by the consumer */
    _Atomic(uint64_t) text_end; /* up to where texts are popped; release by the consumer */
} mfi_outbox;

/* False without memory; mfi_outbox_fini() is allowed then too. */
bool mfi_outbox_init(mfi_outbox *outbox);
void mfi_outbox_fini(mfi_outbox *outbox);

/* Producer. Room for a line of `size` bytes, and a gap beside it. */
bool mfi_outbox_fits(const mfi_outbox *outbox, size_t size);
/* Producer. At most half of the queue is in use. */
bool mfi_outbox_half_free(const mfi_outbox *outbox);
/* Producer. The caller has checked that the line fits. text may be NULL for a gap. */
void mfi_outbox_put(mfi_outbox *outbox, mfi_line line, const char *text);
/* For a thread that is both producer and consumer: an empty queue begins with the same memory
 * again, so that a sink that keeps up touches little of it. */
void mfi_outbox_rewind(mfi_outbox *outbox);

/* Consumer, or a reader while the producer is kept out: the line `behind` lines behind the oldest
 * one, or NULL. */
const mfi_line *mfi_outbox_peek_at(const mfi_outbox *outbox, uint64_t behind);
/* For the same reader, while the consumer may pop lines: the line at *place, which counts from the
 * first line ever put; NULL if there is none. A place among popped lines moves up to the oldest
 * line. */
const mfi_line *mfi_outbox_peek_from(const mfi_outbox *outbox, uint64_t *place);
/* The bytes [at, at + size) of the texts, in one or two parts. Returns the number of parts. */
int mfi_outbox_parts(const mfi_outbox *outbox, uint64_t at, size_t size, struct iovec parts[2]);
/* Consumer. */
void mfi_outbox_pop(mfi_outbox *outbox);

/* Any thread. */
uint64_t mfi_outbox_head(const mfi_outbox *outbox);
uint64_t mfi_outbox_tail(const mfi_outbox *outbox);

#endif
