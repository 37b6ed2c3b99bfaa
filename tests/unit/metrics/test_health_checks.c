/* A program's health checks run in order, report why they fail, and run no more once they are
 * removed. */
#include "metrics/health_checks.h"

#include <stdio.h>
#include <string.h>

#include "mf_test.h"

typedef struct seen {
    char names[256];
    unsigned rows;
    mf_health worst;
    unsigned gates;
    char output[64], text[80], unit[16];
} seen;

static void take_row(const mf_health_row *row, void *user_data)
{
    seen *all = user_data;
    size_t length = strlen(all->names);
    (void)snprintf(all->names + length, sizeof all->names - length, "%s:%s|", row->component,
                   row->measurement);
    all->rows++;
    all->worst = row->status > all->worst ? row->status : all->worst;
    all->gates |= row->gates;
    (void)snprintf(all->output, sizeof all->output, "%s", row->output != NULL ? row->output : "-");
    (void)snprintf(all->text, sizeof all->text, "%s",
                   row->observed_text != NULL ? row->observed_text : "-");
    (void)snprintf(all->unit, sizeof all->unit, "%s",
                   row->observed_unit != NULL ? row->observed_unit : "-");
}

static void pass(mf_health_result *result, void *user_data)
{
    (void)user_data;
    (void)snprintf(result->output, sizeof result->output, "is not shown on pass");
}

static void fail(mf_health_result *result, void *user_data)
{
    result->status = MF_HEALTH_FAIL;
    (void)snprintf(result->output, sizeof result->output, "%s", (const char *)user_data);
    memset(result->observed_text, 'x', sizeof result->observed_text); /* without an end */
}

static mf_status add(mfi_health_checks *checks, const char *component, const char *measurement,
                     mf_health_check_fn function)
{
    static char reason[] = "broken";
    mf_health_check check = MF_HEALTH_CHECK_INIT;
    check.component = component;
    check.measurement = measurement;
    check.observed_unit = "s";
    check.gates = MF_GATE_READY;
    check.check = function;
    check.user_data = reason;
    return mfi_health_checks_add(checks, &check, NULL);
}

static void test_shown_in_order(void)
{
    seen all = {.rows = 0};
    mfi_health_checks *checks = mfi_health_checks_create();
    mf_check_int(add(checks, "disk", "free", pass), MF_OK);
    mf_check_int(add(checks, "cache", NULL, pass), MF_OK);
    mfi_health_checks_visit(checks, take_row, &all);
    mf_check_str(all.names, "disk:free|cache:|");
    mf_check_int(all.worst, MF_HEALTH_PASS);
    mf_check_int(all.gates, MF_GATE_READY);
    mf_check_str(all.output, "-");
    mf_check_str(all.text, "-");
    mf_check_str(all.unit, "s");
    mfi_health_checks_destroy(checks);
}

static void test_failure_says_why(void)
{
    seen all = {.rows = 0};
    mfi_health_checks *checks = mfi_health_checks_create();
    mf_check_int(add(checks, "disk", "free", fail), MF_OK);
    mfi_health_checks_visit(checks, take_row, &all);
    mf_check_int(all.worst, MF_HEALTH_FAIL);
    mf_check_str(all.output, "broken");
    mf_check_int(strlen(all.text), sizeof((mf_health_result *)NULL)->observed_text - 1);
    mfi_health_checks_destroy(checks);
}

static void test_names_are_unique_and_checked(void)
{
    char longest[66];
    mfi_health_checks *checks = mfi_health_checks_create();
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    mf_check_int(add(checks, "disk", NULL, pass), MF_OK);
    mf_check_int(add(checks, "disk", "", pass), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(add(checks, "disk", NULL, pass), MF_ERR_EXISTS);
    mf_check_int(add(checks, "disk", "free", pass), MF_OK);
    mf_check_int(add(checks, "a:b", NULL, pass), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(add(checks, longest, NULL, pass), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(add(checks, longest + 1, NULL, pass), MF_OK);
    mf_check_int(add(checks, NULL, NULL, pass), MF_ERR_INVALID_ARGUMENT);
    mf_check_int(add(checks, "none", NULL, NULL), MF_ERR_INVALID_ARGUMENT);
    mfi_health_checks_destroy(checks);
}

static void test_removed_runs_no_more(void)
{
    seen all = {.rows = 0};
    mfi_health_checks *checks = mfi_health_checks_create();
    mf_check_int(add(checks, "disk", "free", fail), MF_OK);
    mf_check_int(add(checks, "cache", NULL, pass), MF_OK);
    mfi_health_checks_remove(checks, "disk", NULL); /* another one, which is unknown */
    mfi_health_checks_remove(checks, "disk", "free");
    mfi_health_checks_visit(checks, take_row, &all);
    mf_check_str(all.names, "cache:|");
    mf_check_int(add(checks, "disk", "free", pass), MF_OK);
    mfi_health_checks_destroy(checks);
    mfi_health_checks_destroy(NULL);
}

static const mf_test tests[] = {
    {"health_checks__are_shown_in_the_order_they_were_added", test_shown_in_order},
    {"health_checks__failure_says_why", test_failure_says_why},
    {"health_checks__names_are_unique_and_checked", test_names_are_unique_and_checked},
    {"health_checks__removed_runs_no_more", test_removed_runs_no_more},
};
MF_TEST_MAIN(tests)
