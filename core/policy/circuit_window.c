/* Judges a window of calls by its shares of failed and slow calls. It exists apart from the states
 * of the circuit so that a rule is numbers in and a reason out. */
#include "core/policy/circuit_window.h"

#include "base/number.h"
#include "base/str.h"

mfi_window_ratios mfi_window_ratios_of(const mfi_window_rules *rules,
                                       const mfi_circuit_counts *counts)
{
    mfi_window_ratios ratios = {0, 0};
    if (counts->calls > 0 && counts->calls >= rules->min_calls) {
        ratios.failure = (double)counts->failed / (double)counts->calls;
        ratios.slow = (double)counts->slow / (double)counts->calls;
    }
    return ratios;
}

bool mfi_window_judge(const mfi_window_rules *rules, const mfi_circuit_counts *counts,
                      mfi_circuit_reason *ret_reason)
{
    mfi_window_ratios ratios = mfi_window_ratios_of(rules, counts);
    if (rules->failure_ratio > 0 && ratios.failure >= rules->failure_ratio) {
        *ret_reason = (mfi_circuit_reason){.rule = MFI_RULE_FAILURE_RATIO,
                                           .observed = ratios.failure,
                                           .threshold = rules->failure_ratio,
                                           .window_calls = rules->window_calls};
        (void)mfi_str_format(ret_reason->text, sizeof ret_reason->text,
                             "%llu of the last %llu calls failed",
                             (unsigned long long)counts->failed, (unsigned long long)counts->calls);
        return true;
    }
    if (rules->slow_ratio > 0 && ratios.slow >= rules->slow_ratio) {
        *ret_reason = (mfi_circuit_reason){.rule = MFI_RULE_SLOW_RATIO,
                                           .observed = ratios.slow,
                                           .threshold = rules->slow_ratio,
                                           .window_calls = rules->window_calls};
        (void)mfi_str_format(ret_reason->text, sizeof ret_reason->text,
                             "%llu of the last %llu calls took %s s or longer",
                             (unsigned long long)counts->slow, (unsigned long long)counts->calls,
                             mfi_fixed_text((double)rules->slow_call_ms / 1000, 3).text);
        return true;
    }
    return false;
}
