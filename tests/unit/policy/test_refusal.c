/* The texts of calls that a circuit breaker refuses. */
#include "core/policy/refusal.h"

#include "base/clock.h"
#include "mf_test.h"

static void check_text(const mfi_circuit_refusal *refusal, const char *wanted)
{
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mfi_circuit_refuse(refusal, &error), MF_ERR_CIRCUIT_OPEN);
    mf_check_str(error.message, wanted);
}

/* Parsed by peers in other languages. */
static void test_failures(void)
{
    mfi_circuit_refusal refusal = {.state = MFI_CIRCUIT_OPEN,
                                   .reason = {.rule = MFI_RULE_FAILURES, .observed = 5}};
    check_text(&refusal, "Circuit breaker open after 5 consecutive failures");
}

static void test_other_rules(void)
{
    mfi_circuit_refusal refusal = {.state = MFI_CIRCUIT_OPEN,
                                   .reason = {.rule = MFI_RULE_EXIT, .text = "exit code 3"}};
    check_text(&refusal, "Circuit breaker open by rule process_exit: exit code 3");
}

static void test_half_open(void)
{
    mfi_circuit_refusal refusal = {.state = MFI_CIRCUIT_HALF_OPEN,
                                   .reason = {.rule = MFI_RULE_EXIT, .text = "exit code 3"},
                                   .probes = 2,
                                   .permitted = 3,
                                   .wait_ns = 1500 * MFI_NS_PER_MS};
    check_text(&refusal, "Circuit breaker half-open (exit code 3): 2 of 3 probes are taken; more "
                         "calls pass when these have ended, in 1.5 s at the latest");
}

static const mf_test tests[] = {
    {"refusal__names_the_number_of_failures", test_failures},
    {"refusal__names_the_rule_and_what_was_observed", test_other_rules},
    {"refusal__of_a_half_open_circuit_names_the_probes", test_half_open},
};
MF_TEST_MAIN(tests)
