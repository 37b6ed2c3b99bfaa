/* The texts of refused calls. They exist apart from the circuit breaker because they are for
 * people: the text of the rule that counts failures is the one that peers in other languages use.
 */
#include "core/policy/refusal.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/number.h"

mf_status mfi_circuit_refuse(const mfi_circuit_refusal *refusal, mf_error *error)
{
    const mfi_circuit_reason *reason = &refusal->reason;
    if (refusal->state == MFI_CIRCUIT_HALF_OPEN) {
        return mfi_fail(error, MF_ERR_CIRCUIT_OPEN,
                        "Circuit breaker half-open (%s): %u of %u probes are taken; more calls "
                        "pass when these have ended, in %s s at the latest",
                        reason->text, (unsigned)refusal->probes, (unsigned)refusal->permitted,
                        mfi_fixed_text((double)refusal->wait_ns / (double)MFI_NS_PER_S, 1).text);
    }
    if (reason->rule == MFI_CAUSE_NONE || reason->rule == MFI_RULE_FAILURES) {
        return mfi_fail(error, MF_ERR_CIRCUIT_OPEN,
                        "Circuit breaker open after %s consecutive failures",
                        mfi_fixed_text(reason->observed, 0).text);
    }
    return mfi_fail(error, MF_ERR_CIRCUIT_OPEN, "Circuit breaker open by rule %s: %s",
                    mfi_circuit_cause_word(reason->rule), reason->text);
}
