/* Shows a pool in mf_probe: one health row for all its members. Circuits are shown by the members
 * themselves. */
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

static void visit_health(void *self, mf_health_visit_fn visit, void *user_data)
{
    char output[MFI_MEMBER_TEXT_MAX];
    const mf_pool *pool = self;
    const mfi_pool_member *first = NULL; /* the first member that is not ready */
    uint32_t ready = 0;
    for (uint32_t i = 0; i < pool->size; i++) {
        const mfi_pool_member *member = &pool->members[i];
        bool is_ready =
            !mfi_pool_is_out(member) && mfi_member_state(member->parent) == MF_PARENT_READY;
        ready += is_ready;
        first = first == NULL && !is_ready ? member : first;
    }
    bool started = atomic_load_explicit(&pool->started, memory_order_relaxed);
    mf_health_row row = {.struct_size = sizeof row,
                         .component = mfi_pool_name(pool),
                         .measurement = "workers",
                         .component_type = "component",
                         .status = MF_HEALTH_PASS,
                         .gates = MF_GATE_READY | (started ? MF_GATE_NONE : MF_GATE_STARTUP),
                         .has_number = true,
                         .observed_number = ready,
                         .observed_unit = "workers"};
    if (first != NULL || !started) {
        row.status = !started || ready < pool->min_healthy ? MF_HEALTH_FAIL : MF_HEALTH_WARN;
        row.output = first != NULL ? output : "the start is not complete";
    }
    if (first != NULL) {
        mfi_pool_explain(first, output, sizeof output);
    }
    visit(&row, user_data);
}

void mfi_pool_component_init(mf_pool *pool)
{
    pool->component =
        (mfi_component){.target = mfi_pool_name(pool), .self = pool, .visit_health = visit_health};
}
