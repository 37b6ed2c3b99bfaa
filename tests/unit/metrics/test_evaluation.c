/* The thread that evaluates the checks, and the table of what it found. */
#include "metrics/evaluation.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "mf_test.h"

#define NEVER_MS 1000000000 /* an interval that no test lives to see */
#define ROWS_MAX 1100

/* What the probe of a test shows, and what it is told. */
typedef struct program {
    mf_metrics *metrics;
    mf_probe probe;
    mfi_mutex mutex; /* guards the rows */
    mf_health_row rows[ROWS_MAX];
    size_t count;
    unsigned visits;
    char told[512]; /* "name:from>to:output|" of each change */
    sem_t was_told;
    void (*changed)(void *user_data); /* of the evaluation that watches */
    void *changed_data;
} program;

static void visit_health(void *self, mf_health_visit_fn visit, void *user_data)
{
    program *all = self;
    mfi_mutex_lock(&all->mutex);
    all->visits++;
    for (size_t i = 0; i < all->count; i++) {
        visit(&all->rows[i], user_data);
    }
    mfi_mutex_unlock(&all->mutex);
}

static void health_changed(void *self, const char *check, mf_health from, mf_health to,
                           const char *output)
{
    program *all = self;
    mfi_mutex_lock(&all->mutex);
    size_t length = strlen(all->told);
    (void)snprintf(all->told + length, sizeof all->told - length, "%s %d>%d %s|", check, (int)from,
                   (int)to, output != NULL ? output : "(none)");
    mfi_mutex_unlock(&all->mutex);
    (void)sem_post(&all->was_told);
}

static void watch(void *self, void (*changed)(void *user_data), void *user_data)
{
    program *all = self;
    mfi_mutex_lock(&all->mutex);
    all->changed = changed;
    all->changed_data = user_data;
    mfi_mutex_unlock(&all->mutex);
}

static program *open_program(void)
{
    program *all = calloc(1, sizeof *all);
    mf_check_int(mf_metrics_create(&all->metrics, NULL, NULL), MF_OK);
    mfi_mutex_init(&all->mutex);
    (void)sem_init(&all->was_told, 0, 0);
    all->probe = (mf_probe){.struct_size = sizeof all->probe,
                            .self = all,
                            .metrics = all->metrics,
                            .visit_health = visit_health,
                            .health_changed = health_changed,
                            .watch = watch};
    return all;
}

static void close_program(program *all)
{
    mf_metrics_destroy(all->metrics);
    mfi_mutex_fini(&all->mutex);
    (void)sem_destroy(&all->was_told);
    free(all);
}

static mf_health_row *add_row(program *all, const char *component, const char *measurement,
                              mf_health status, const char *output)
{
    mf_health_row *row = &all->rows[all->count++];
    *row = (mf_health_row){.struct_size = sizeof *row,
                           .component = component,
                           .measurement = measurement,
                           .component_type = "component",
                           .status = status,
                           .output = output};
    return row;
}

static void wait_until_told(program *all)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += MF_TEST_PATIENCE_MS / 1000;
    mf_check_int(sem_timedwait(&all->was_told, &until), 0);
}

/* Of the series of one check, as "100" for pass. */
static void check_gauges(const program *all, const char *name, const char *wanted)
{
    static const char *const words[] = {"pass", "warn", "fail"};
    char *text = NULL;
    char got[4] = "???";
    size_t length = 0;
    mf_check_int(mf_metrics_render(all->metrics, MF_METRICS_PROMETHEUS_TEXT, &text, &length, NULL),
                 MF_OK);
    for (int i = 0; i < 3; i++) {
        char line[256];
        int size = snprintf(line, sizeof line,
                            "\nmultifrost_health_check_status{check=\"%s\",status=\"%s\"} ", name,
                            words[i]);
        const char *found = strstr(text, line);
        got[i] = found != NULL ? found[size] : '?';
    }
    mf_check_str(got, wanted);
    free(text);
}

/* One evaluation comes before the return; what is found is copied, name by name. */
static void test_first_evaluation(void)
{
    program *all = open_program();
    mfi_health health;
    size_t count = 0;
    uint64_t wall_ns = 0, age_ns = 0;
    mf_health_row *row = add_row(all, "math", "workers", MF_HEALTH_FAIL, "all down");
    row->gates = MF_GATE_READY | MF_GATE_LIVE;
    row->has_number = true;
    row->observed_number = 2.5;
    row->observed_unit = "workers";
    add_row(all, "process", "", MF_HEALTH_PASS, NULL)->observed_text = "fine";
    add_row(all, "disk", NULL, MF_HEALTH_WARN, "")->component_type = NULL;
    uint64_t before = mfi_wall_ns();
    uint64_t before_ns = mfi_monotonic_ns();
    mf_check_int(mfi_evaluation_start(&health, &all->probe, NEVER_MS, NULL), MF_OK);
    mf_check_int(all->visits, 1);
    mfi_check *checks = mfi_evaluation_copy(&health, &count, &wall_ns, &age_ns);
    uint64_t passed_ns = mfi_monotonic_ns() - before_ns;
    mf_check(wall_ns >= before && wall_ns <= mfi_wall_ns());
    mf_check(age_ns <= passed_ns);
    if (mf_check(checks != NULL && count == 3)) {
        mf_check_str(checks[0].name, "math:workers");
        mf_check_str(checks[0].component_type, "component");
        mf_check_str(checks[0].output, "all down");
        mf_check_str(checks[0].unit, "workers");
        mf_check_str(checks[0].text, "");
        mf_check_int(checks[0].status, MF_HEALTH_FAIL);
        mf_check_int(checks[0].gates, MF_GATE_READY | MF_GATE_LIVE);
        mf_check(checks[0].has_number && checks[0].number == 2.5);
        mf_check_str(checks[1].name, "process");
        mf_check_str(checks[1].text, "fine");
        mf_check(!checks[1].has_number);
        mf_check_str(checks[2].name, "disk");
        mf_check_str(checks[2].component_type, "");
    }
    free(checks);
    mf_check_str(all->told, "math:workers 0>2 all down|disk 0>1 (none)|");
    check_gauges(all, "math:workers", "001");
    check_gauges(all, "process", "100");
    check_gauges(all, "disk", "010");
    mfi_evaluation_stop(&health);
    close_program(all);
}

/* The thread goes on evaluating; only changes are told, each once. */
static void test_changes_are_told(void)
{
    program *all = open_program();
    mfi_health health;
    size_t count = 0;
    uint64_t wall_ns = 0, age_ns = 0;
    mf_health_row *row = add_row(all, "math", "workers", MF_HEALTH_PASS, NULL);
    add_row(all, "process", "", MF_HEALTH_PASS, NULL);
    mf_check_int(mfi_evaluation_start(&health, &all->probe, 1, NULL), MF_OK);
    mf_check_str(all->told, "");
    static const struct {
        mf_health status;
        const char *output, *told, *gauges;
    } steps[] = {{MF_HEALTH_WARN, "slow", "math:workers 0>1 slow|", "010"},
                 {MF_HEALTH_FAIL, "dead", "math:workers 1>2 dead|", "001"},
                 {MF_HEALTH_PASS, NULL, "math:workers 2>0 (none)|", "100"}};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        mfi_mutex_lock(&all->mutex);
        all->told[0] = '\0';
        row->status = steps[i].status;
        row->output = steps[i].output;
        mfi_mutex_unlock(&all->mutex);
        wait_until_told(all);
        mfi_check *checks = mfi_evaluation_copy(&health, &count, &wall_ns, &age_ns);
        mf_check(checks != NULL && count == 2 && checks[0].status == steps[i].status);
        free(checks);
        check_gauges(all, "math:workers", steps[i].gauges);
        mfi_mutex_lock(&all->mutex);
        mf_check_str(all->told, steps[i].told);
        mfi_mutex_unlock(&all->mutex);
    }
    mfi_evaluation_stop(&health);
    mf_check_str(all->told, "math:workers 2>0 (none)|");
    close_program(all);
}

static void note(void *self, mf_note_visit_fn visit, void *user_data)
{
    (void)self;
    for (int i = 0; i < MFI_NOTES_MAX + 1; i++) {
        visit(i == 0 ? "draining no" : "circuit math closed", user_data);
    }
}

/* A check keeps the time of its status as long as the status stays, and no longer. */
static void test_since_when(void)
{
    static const char *const names[] = {"f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8"};
    static const mf_health steps[] = {MF_HEALTH_WARN, MF_HEALTH_WARN, MF_HEALTH_FAIL};
    program *all = open_program();
    mfi_health health;
    size_t count = 0;
    size_t notes = 0;
    uint64_t wall_ns = 0, age_ns = 0, serial = 1;
    uint64_t since[3] = {0};
    _Atomic(bool) stop = false;
    mf_health_row *row = add_row(all, "math", "workers", MF_HEALTH_WARN, "slow");
    row->affected = names;
    row->affected_count = 9;
    all->probe.visit_notes = note;
    mf_check_int(mfi_evaluation_start(&health, &all->probe, NEVER_MS, NULL), MF_OK);
    for (int i = 0; i < 3; i++) {
        mfi_mutex_lock(&all->mutex);
        row->status = steps[i];
        mfi_mutex_unlock(&all->mutex);
        uint64_t before_ns = mfi_monotonic_ns();
        uint64_t before_wall_ns = mfi_wall_ns();
        all->changed(all->changed_data);
        serial = mfi_evaluation_wait(&health, serial, MFI_NEVER, &stop);
        mf_check(mfi_evaluation_began_ns(&health) >= before_ns);
        mfi_check *checks = mfi_evaluation_copy(&health, &count, &wall_ns, &age_ns);
        if (mf_check(checks != NULL && count == 1)) {
            mf_check_int(checks[0].affected_count, MF_HEALTH_AFFECTED_MAX);
            mf_check_str(checks[0].affected[7], "f7");
            mf_check_int(mfi_evaluation_gate(checks, count, MF_GATE_NONE), steps[i]);
            mf_check_int(mfi_evaluation_gate(checks, count, MF_GATE_LIVE), MF_HEALTH_PASS);
            since[i] = checks[0].since_wall_ns;
            mf_check((since[i] >= before_wall_ns) == (i == 2));
        }
        free(checks);
    }
    mf_check(since[0] == since[1] && since[1] < since[2]);
    char(*told)[MFI_NOTE_MAX] = mfi_evaluation_notes(&health, &notes);
    mf_check_int(notes, MFI_NOTES_MAX);
    mf_check_str(told[0], "draining no");
    mf_check_str(told[1], "circuit math closed");
    free(told);
    mf_check(!mfi_evaluation_hangs(&health, 0));
    mf_check_int(mfi_evaluation_wait(&health, serial, mfi_monotonic_ns(), &stop), serial);
    atomic_store(&stop, true);
    mfi_evaluation_wake(&health);
    mf_check_int(mfi_evaluation_wait(&health, serial, MFI_NEVER, &stop), serial);
    mfi_evaluation_stop(&health);
    close_program(all);
}

/* A check that is gone has no status: an alert on it would else never end. */
static void test_gone_checks_have_no_status(void)
{
    program *all = open_program();
    mfi_health health;
    mf_health_row *stays = add_row(all, "math", "workers", MF_HEALTH_PASS, NULL);
    add_row(all, "gone", "", MF_HEALTH_FAIL, "x");
    mf_check_int(mfi_evaluation_start(&health, &all->probe, 1, NULL), MF_OK);
    check_gauges(all, "gone", "001");
    wait_until_told(all); /* of what failed from the start */
    mfi_mutex_lock(&all->mutex);
    all->count = 1;
    stays->status = MF_HEALTH_WARN; /* which tells when the evaluation was done */
    mfi_mutex_unlock(&all->mutex);
    wait_until_told(all);
    check_gauges(all, "gone", "???");
    check_gauges(all, "math:workers", "010");
    mfi_evaluation_stop(&health);
    close_program(all);
}

/* Rows of one name are one check, as bad as the worst; a name has one colon, and is one line. */
static void test_names(void)
{
    program *all = open_program();
    mfi_health health;
    size_t count = 0;
    uint64_t wall_ns = 0, age_ns = 0;
    add_row(all, "math", "workers", MF_HEALTH_PASS, NULL);
    add_row(all, "math", "workers", MF_HEALTH_FAIL, "dead");
    add_row(all, "a:b\"\\\n\x01\xff", "c:d", MF_HEALTH_PASS, NULL);
    mf_check_int(mfi_evaluation_start(&health, &all->probe, 1, NULL), MF_OK);
    wait_until_told(all);
    mfi_check *checks = mfi_evaluation_copy(&health, &count, &wall_ns, &age_ns);
    if (mf_check(checks != NULL && count == 3)) {
        mf_check_str(checks[2].name, "a_b\"\\_\\x01\xef\xbf\xbd:c_d");
    }
    free(checks);
    check_gauges(all, "math:workers", "001");
    mfi_evaluation_stop(&health);
    mf_check_str(all->told, "math:workers 0>2 dead|"); /* however often it was evaluated */
    check_gauges(all, "math:workers", "???");          /* nothing is evaluated any more */
    close_program(all);
}

/* Long texts are cut between characters; of more checks than the table takes
 * those that pass are left out. */
static void test_bounds(void)
{
    program *all = open_program();
    mfi_health health;
    size_t count = 0;
    uint64_t wall_ns = 0, age_ns = 0;
    static char text[2001];
    for (size_t i = 0; i < 1000; i++) {
        memcpy(text + 2 * i, "\xc3\xa4", 3); /* of two bytes each */
    }
    mf_health_row *row = add_row(all, text, text, MF_HEALTH_WARN, text);
    row->component_type = row->observed_text = row->observed_unit = text;
    while (all->count < ROWS_MAX) {
        add_row(all, "many", "", MF_HEALTH_PASS, NULL);
    }
    all->rows[ROWS_MAX - 1].component = "loop"; /* beyond the table, but it fails */
    all->rows[ROWS_MAX - 1].status = MF_HEALTH_FAIL;
    all->rows[ROWS_MAX - 1].gates = MF_GATE_LIVE;
    all->probe.health_changed = NULL; /* nobody wants to know */
    mf_check_int(mfi_evaluation_start(&health, &all->probe, NEVER_MS, NULL), MF_OK);
    mfi_check *checks = mfi_evaluation_copy(&health, &count, &wall_ns, &age_ns);
    mf_check_int(count, 1025);
    if (mf_check(checks != NULL)) {
        mf_check_int(strlen(checks[0].name), 98 + 1 + 64);
        mf_check_int(strlen(checks[0].component_type), 14);
        mf_check_int(strlen(checks[0].text), 62);
        mf_check_int(strlen(checks[0].unit), 14);
        mf_check_int(strlen(checks[0].output), 510);
        mf_check_str(checks[1023].name, "many");
        mf_check_str(checks[1024].name, "loop");
        mf_check_int(mfi_evaluation_gate(checks, count, MF_GATE_LIVE), MF_HEALTH_FAIL);
    }
    free(checks);
    mfi_evaluation_stop(&health);
    close_program(all);
}

/* A row that comes is seen long before the interval is over. */
static void test_a_new_row_is_evaluated_at_once(void)
{
    program *all = open_program();
    mfi_health *health = NULL;
    mf_check_int(mfi_evaluation_share(&health, &all->probe, NEVER_MS, NULL), MF_OK);
    (void)add_row(all, "math", "workers", MF_HEALTH_FAIL, "starts");
    mf_check(all->changed != NULL);
    all->changed(all->changed_data);
    wait_until_told(all);
    mf_check_str(all->told, "math:workers 0>2 starts|");
    mfi_evaluation_release(health);
    mf_check(all->changed == NULL);
    close_program(all);
}

/* Two endpoints on one probe: one thread visits it, at the shorter interval, until both are gone.
 */
static void test_one_probe_is_shared(void)
{
    program *all = open_program();
    mfi_health *first = NULL, *second = NULL, *third = NULL;
    mf_health_row *row = add_row(all, "math", "workers", MF_HEALTH_PASS, NULL);
    mf_check_int(mfi_evaluation_share(&first, &all->probe, NEVER_MS, NULL), MF_OK);
    mf_check_int(all->visits, 1);
    mf_check_int(mfi_evaluation_share(&second, &all->probe, 1, NULL), MF_OK);
    mf_check_int(mfi_evaluation_share(&third, &all->probe, NEVER_MS, NULL), MF_OK);
    mf_check(first == second && first == third);
    mfi_evaluation_release(first);
    mfi_evaluation_release(third);
    mfi_mutex_lock(&all->mutex);
    row->status = MF_HEALTH_FAIL;
    row->output = "dead";
    unsigned visits = all->visits;
    mfi_mutex_unlock(&all->mutex);
    wait_until_told(all); /* the thread goes on for the second one */
    mfi_evaluation_release(second);
    mf_check(all->visits > visits);
    mf_check_str(all->told, "math:workers 0>2 dead|");
    visits = all->visits;
    mf_check_int(mfi_evaluation_share(&first, &all->probe, NEVER_MS, NULL), MF_OK);
    mf_check_int(all->visits, visits + 1); /* a new one: the last one had stopped */
    mfi_evaluation_release(first);
    mfi_evaluation_release(NULL);
    close_program(all);
}

static void test_probes_are_apart(void)
{
    program *one = open_program();
    program *other = open_program();
    mfi_health *first = NULL, *second = NULL;
    mf_check_int(mfi_evaluation_share(&first, &one->probe, NEVER_MS, NULL), MF_OK);
    mf_check_int(mfi_evaluation_share(&second, &other->probe, NEVER_MS, NULL), MF_OK);
    mf_check(first != second);
    mf_check_int(one->visits, 1);
    mf_check_int(other->visits, 1);
    mfi_evaluation_release(first);
    mfi_evaluation_release(second);
    close_program(one);
    close_program(other);
}

/* One after the other, also with another probe on the same metrics. */
static void test_metrics_are_used_again(void)
{
    program *all = open_program();
    mfi_health health;
    add_row(all, "math", "", MF_HEALTH_PASS, NULL);
    for (int i = 0; i < 2; i++) {
        mf_check_int(mfi_evaluation_start(&health, &all->probe, NEVER_MS, NULL), MF_OK);
        check_gauges(all, "math", "100");
        mfi_evaluation_stop(&health);
    }
    close_program(all);
}

static const mf_test tests[] = {
    {"health__is_evaluated_before_the_start_returns", test_first_evaluation},
    {"health__changes_are_told_once", test_changes_are_told},
    {"health__says_since_when", test_since_when},
    {"health__gone_checks_have_no_status", test_gone_checks_have_no_status},
    {"health__rows_of_one_name_are_one_check", test_names},
    {"health__texts_and_numbers_are_bounded", test_bounds},
    {"health__a_new_row_is_evaluated_at_once", test_a_new_row_is_evaluated_at_once},
    {"health__endpoints_of_one_probe_share", test_one_probe_is_shared},
    {"health__probes_are_apart", test_probes_are_apart},
    {"health__metrics_are_used_again", test_metrics_are_used_again},
};
MF_TEST_MAIN(tests)
