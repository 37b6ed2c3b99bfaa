/* The queue of one sink: see outbox.h. Positions only grow; their low bits are the place. */
#include "logging/outbox.h"

#include <stdlib.h>
#include <string.h>

bool mfi_outbox_init(mfi_outbox *outbox)
{
    outbox->text = malloc(MFI_OUTBOX_BYTES);
    outbox->lines = calloc(MFI_OUTBOX_LINES, sizeof *outbox->lines);
    return outbox->text != NULL && outbox->lines != NULL;
}

void mfi_outbox_fini(mfi_outbox *outbox)
{
    free(outbox->text);
    free(outbox->lines);
}

uint64_t mfi_outbox_head(const mfi_outbox *outbox)
{
    return atomic_load_explicit(&outbox->head, memory_order_acquire);
}

uint64_t mfi_outbox_tail(const mfi_outbox *outbox)
{
    return atomic_load(&outbox->tail); /* ordered with mfi_sink.waiters */
}

static size_t lines_used(const mfi_outbox *outbox)
{
    return (size_t)(mfi_outbox_head(outbox) - mfi_outbox_tail(outbox));
}

static size_t bytes_used(const mfi_outbox *outbox)
{
    return (size_t)(outbox->text_head -
                    atomic_load_explicit(&outbox->text_end, memory_order_acquire));
}

bool mfi_outbox_fits(const mfi_outbox *outbox, size_t size)
{
    return bytes_used(outbox) + size <= MFI_OUTBOX_BYTES &&
           lines_used(outbox) + 2 <= MFI_OUTBOX_LINES;
}

bool mfi_outbox_half_free(const mfi_outbox *outbox)
{
    return bytes_used(outbox) <= MFI_OUTBOX_BYTES / 2 && lines_used(outbox) <= MFI_OUTBOX_LINES / 2;
}

void mfi_outbox_put(mfi_outbox *outbox, mfi_line line, const char *text)
{
    struct iovec parts[2];
    uint64_t head = mfi_outbox_head(outbox);
    line.at = outbox->text_head;
    int count = mfi_outbox_parts(outbox, line.at, line.size, parts);
    for (int i = 0; i < count; i++) {
        memcpy(parts[i].iov_base, text, parts[i].iov_len);
        text += parts[i].iov_len;
    }
    outbox->text_head += line.size;
    outbox->lines[head % MFI_OUTBOX_LINES] = line;
    atomic_store_explicit(&outbox->head, head + 1, memory_order_release);
}

void mfi_outbox_rewind(mfi_outbox *outbox)
{
    if (lines_used(outbox) == 0) {
        outbox->text_head =
            (outbox->text_head + MFI_OUTBOX_BYTES - 1) / MFI_OUTBOX_BYTES * MFI_OUTBOX_BYTES;
        atomic_store_explicit(&outbox->text_end, outbox->text_head, memory_order_release);
    }
}

const mfi_line *mfi_outbox_peek_at(const mfi_outbox *outbox, uint64_t behind)
{
    uint64_t place = mfi_outbox_tail(outbox) + behind;
    return place < mfi_outbox_head(outbox) ? &outbox->lines[place % MFI_OUTBOX_LINES] : NULL;
}

const mfi_line *mfi_outbox_peek_from(const mfi_outbox *outbox, uint64_t *place)
{
    uint64_t tail = mfi_outbox_tail(outbox);
    *place = *place < tail ? tail : *place;
    return *place < mfi_outbox_head(outbox) ? &outbox->lines[*place % MFI_OUTBOX_LINES] : NULL;
}

int mfi_outbox_parts(const mfi_outbox *outbox, uint64_t at, size_t size, struct iovec parts[2])
{
    size_t place = (size_t)(at % MFI_OUTBOX_BYTES);
    size_t first = size < MFI_OUTBOX_BYTES - place ? size : MFI_OUTBOX_BYTES - place;
    parts[0] = (struct iovec){.iov_base = outbox->text + place, .iov_len = first};
    parts[1] = (struct iovec){.iov_base = outbox->text, .iov_len = size - first};
    return size == 0 ? 0 : first < size ? 2 : 1;
}

void mfi_outbox_pop(mfi_outbox *outbox)
{
    uint64_t tail = mfi_outbox_tail(outbox);
    const mfi_line *line = &outbox->lines[tail % MFI_OUTBOX_LINES];
    uint64_t end = line->at + line->size;
    atomic_store_explicit(&outbox->text_end, end, memory_order_release);
    atomic_store(&outbox->tail, tail + 1);
}
