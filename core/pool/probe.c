/* Shows a pool in mf_probe: one health row for all its members. Circuits are shown by the members
 * themselves. */
#include "base/fingerprint.h"
#include "base/str.h"
#include "core/client/member.h"
#include "core/pool/pool.h"

void mfi_pool_explain(const mfi_pool_member *member, char *to, size_t size)
{
    mf_parent *parent = member->parent;
    uint32_t out = atomic_load_explicit(&member->gate, memory_order_relaxed) & MFI_OUT;
    if (out == 0) {
        mfi_member_explain(parent, to, size);
    } else {
        uint32_t calls = mfi_member_calls_open(parent);
        (void)mfi_str_format(
            to, size, "worker %s %s (%u calls in flight)", mfi_member_worker(parent),
            (out & MFI_OUT_ASKED) != 0 ? "was taken out" : "is being restarted", (unsigned)calls);
    }
}

static void add_workers(void *self, mfi_workers_row *row)
{
    const mf_pool *pool = self;
    const mfi_pool_member *first = NULL; /* the first member that is not ready, or frozen */
    for (uint32_t i = 0; i < pool->size; i++) {
        const mfi_pool_member *member = &pool->members[i];
        bool is_ready =
            !mfi_pool_is_out(member) && mfi_member_state(member->parent) == MF_PARENT_READY;
        row->ready += is_ready;
        bool is_well = is_ready && !mfi_member_is_frozen(member->parent);
        first = first == NULL && !is_well ? member : first;
    }
    bool starts = !atomic_load_explicit(&pool->started, memory_order_relaxed);
    row->needed = row->needed > pool->min_healthy ? row->needed : pool->min_healthy;
    row->starts = row->starts || starts;
    row->warns = row->warns || first != NULL;
    if (row->output[0] == '\0' && first != NULL) {
        mfi_pool_explain(first, row->output, MFI_MEMBER_TEXT_MAX);
    } else if (row->output[0] == '\0' && starts) {
        (void)mfi_str_copy(row->output, sizeof row->output, "the start is not complete");
    }
}

/* The members have fingerprints of their own. */
static uint64_t fingerprint(const mf_pool *pool)
{
    uint64_t hash = mfi_fingerprint_text(MFI_FINGERPRINT_BEGIN, "pool", mfi_pool_name(pool));
    hash = mfi_fingerprint_number(hash, "workers", pool->size);
    hash = mfi_fingerprint_number(hash, "min_ready", pool->min_ready);
    hash = mfi_fingerprint_number(hash, "min_healthy", pool->min_healthy);
    return mfi_fingerprint_number(hash, "drain_timeout_ms", pool->drain_timeout_ms);
}

void mfi_pool_component_init(mf_pool *pool)
{
    pool->component = (mfi_component){.target = mfi_pool_name(pool),
                                      .self = pool,
                                      .add_workers = add_workers,
                                      .command = mfi_pool_command,
                                      .config = fingerprint(pool)};
}
