/* The fault that an operator has armed: which calls it hits, and until when. It exists apart from
 * what becomes of these calls (faulted.c), so that a given seed picks the same calls in each run.
 */
#include "core/client/calls/faults.h"

#include <string.h>

#include "base/clock.h"
#include "base/number.h"
#include "base/str.h"

/* ---- The rule ---- */

/* splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void write_rule(const mfi_fault_rule *rule, uint64_t hits, char *to)
{
    size_t length = mfi_str_format(
        to, MFI_FAULT_TEXT_MAX, "%s of %s, share %s, for %lld ms, %llu calls hit",
        mfi_fault_word(rule->kind), rule->function[0] != '\0' ? rule->function : "any function",
        mfi_fixed_text(rule->share, 3).text, (long long)rule->for_ms, (unsigned long long)hits);
    if (rule->kind == MFI_FAULT_DELAY || rule->kind == MFI_FAULT_FREEZE) {
        (void)mfi_str_format(to + length, MFI_FAULT_TEXT_MAX - length, ", delay %lld ms",
                             (long long)rule->delay_ms);
    }
}

static bool is_over_locked(const mfi_faults *faults, uint64_t now_ns)
{
    const mfi_fault_rule *rule = &faults->rule;
    return now_ns >= faults->until_ns || (rule->count != 0 && faults->hits >= rule->count);
}

void mfi_faults_arm(mfi_faults *faults, const mfi_fault_rule *rule, uint64_t now_ns, char *from,
                    char *to)
{
    mfi_mutex_lock(&faults->mutex);
    (void)mfi_str_copy(from, MFI_FAULT_TEXT_MAX, "none");
    (void)mfi_str_copy(to, MFI_FAULT_TEXT_MAX, "none");
    if (atomic_load_explicit(&faults->armed, memory_order_relaxed) &&
        !is_over_locked(faults, now_ns)) {
        write_rule(&faults->rule, faults->hits, from);
    }
    if (rule != NULL) {
        faults->rule = *rule;
        faults->until_ns = mfi_deadline_after_ms(now_ns, rule->for_ms);
        faults->random = rule->seed;
        faults->hits = 0;
        write_rule(rule, 0, to);
    }
    atomic_store_explicit(&faults->armed, rule != NULL, memory_order_relaxed);
    mfi_mutex_unlock(&faults->mutex);
}

bool mfi_faults_hit(mfi_faults *faults, const char *function, uint64_t now_ns,
                    mfi_fault_rule *ret_rule)
{
    bool hit = false;
    mfi_mutex_lock(&faults->mutex);
    const mfi_fault_rule *rule = &faults->rule;
    if (!atomic_load_explicit(&faults->armed, memory_order_relaxed)) {
        hit = false; /* it was taken back meanwhile */
    } else if (is_over_locked(faults, now_ns)) {
        atomic_store_explicit(&faults->armed, false, memory_order_relaxed);
    } else if (rule->function[0] == '\0' || strcmp(rule->function, function) == 0) {
        double at = (double)(next_random(&faults->random) >> 11) * 0x1p-53;
        hit = at < rule->share;
        faults->hits += hit;
    }
    if (hit) {
        *ret_rule = *rule;
    }
    mfi_mutex_unlock(&faults->mutex);
    return hit;
}

/* ---- Life ---- */

void mfi_faults_init(mfi_faults *faults)
{
    mfi_mutex_init(&faults->mutex);
}

void mfi_faults_fini(mfi_faults *faults)
{
    mfi_mutex_fini(&faults->mutex);
}
