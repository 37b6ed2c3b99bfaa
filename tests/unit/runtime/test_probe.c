/* What a runtime shows to an endpoint: its components, the program's checks, its loop, itself. */
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/runtime/runtime.h"
#include "mf_test.h"

#define ROWS_MAX 16

typedef struct rows {
    size_t count;
    mf_health_row rows[ROWS_MAX];
    char names[ROWS_MAX][64];
} rows;

static void keep_row(const mf_health_row *row, void *data)
{
    rows *kept = data;
    if (kept->count < ROWS_MAX) {
        (void)snprintf(kept->names[kept->count], sizeof kept->names[0], "%s:%s", row->component,
                       row->measurement);
        kept->rows[kept->count++] = *row;
    }
}

static void visit(mf_runtime *runtime, rows *ret_rows)
{
    const mf_probe *probe = mf_runtime_probe(runtime);
    memset(ret_rows, 0, sizeof *ret_rows);
    probe->visit_health(probe->self, keep_row, ret_rows);
}

static mf_runtime *make(void)
{
    mf_runtime *runtime = NULL;
    mf_check_int(mf_runtime_create(&runtime, NULL, NULL), MF_OK);
    return runtime;
}

/* ---- Rows ---- */

static void test_loop_and_uptime(void)
{
    rows first;
    rows second;
    mf_runtime *runtime = make();
    visit(runtime, &first);
    mf_check_int(first.count, 3);
    mf_check_str(first.names[0], "loop:lag");
    mf_check_str(first.rows[0].component_type, "system");
    mf_check_str(first.rows[0].observed_unit, "s");
    mf_check_int(first.rows[0].status, MF_HEALTH_PASS);
    mf_check_int(first.rows[0].gates, MF_GATE_LIVE);
    mf_check(first.rows[0].has_number);
    mf_check(first.rows[0].observed_number == 0); /* nothing was measured before */
    mf_check_str(first.names[1], "uptime:");
    mf_check_int(first.rows[1].status, MF_HEALTH_PASS);
    mf_check_int(first.rows[1].gates, 0);
    mf_check_str(first.rows[1].observed_unit, "s");
    mf_check(first.rows[1].has_number && first.rows[1].observed_number > 0);
    visit(runtime, &second);
    mf_check(second.rows[1].observed_number > first.rows[1].observed_number);
    mf_runtime_destroy(runtime);
}

typedef struct stand_still {
    mfi_task task;
    sem_t begun, go_on;
} stand_still;

static void stand(mfi_task *task)
{
    stand_still *at = (stand_still *)(void *)task;
    sem_post(&at->begun);
    while (sem_wait(&at->go_on) != 0) {
    }
}

static void do_nothing(void *data)
{
    (void)data;
}

/* A loop that stands still: each look shows at least the time since the first one, and the last
 * shows how late it was in the end. */
static void test_loop_that_stands_still(void)
{
    rows seen;
    stand_still at;
    mf_runtime *runtime = make();
    mfi_task_init(&at.task, stand);
    sem_init(&at.begun, 0, 0);
    sem_init(&at.go_on, 0, 0);
    mf_check(mfi_loop_post(runtime->loop, &at.task));
    sem_wait(&at.begun);
    visit(runtime, &seen);
    uint64_t asked = mfi_monotonic_ns();
    visit(runtime, &seen);
    double first = seen.rows[0].observed_number;
    mf_check(first > 0);
    while (mfi_monotonic_ns() - asked < MFI_NS_PER_MS) {
    }
    visit(runtime, &seen);
    mf_check(seen.rows[0].observed_number > first);
    mf_check(seen.rows[0].observed_number >= 0.001);
    sem_post(&at.go_on);
    mfi_loop_call(runtime->loop, do_nothing, NULL);
    visit(runtime, &seen);
    mf_check(seen.rows[0].observed_number >= 0.001);
    mfi_loop_call(runtime->loop, do_nothing, NULL);
    mf_runtime_destroy(runtime);
}

/* ---- Components, and the program's checks ---- */

typedef struct part {
    mfi_component component;
    const char *name;
} part;

static void show_health(void *self, bool alone, mf_health_visit_fn show, void *user_data)
{
    (void)alone;
    const part *at = self;
    mf_health_row row = {.struct_size = sizeof row, .component = at->name, .measurement = "worker"};
    show(&row, user_data);
}

static void show_circuit(void *self, mf_circuit_visit_fn show, void *user_data)
{
    const part *at = self;
    mf_circuit_row row = {.struct_size = sizeof row, .target = at->name, .state = "closed"};
    show(&row, user_data);
}

static void add_part(mf_runtime *runtime, part *at, const char *name, bool has_circuit)
{
    *at = (part){.name = name,
                 .component = {.target = name,
                               .self = at,
                               .visit_health = show_health,
                               .visit_circuit = has_circuit ? show_circuit : NULL}};
    mfi_runtime_add_component(runtime, &at->component);
}

static void is_cold(mf_health_result *result, void *user_data)
{
    result->status = MF_HEALTH_WARN;
    result->has_number = true;
    result->observed_number = *(const double *)user_data;
    (void)snprintf(result->output, sizeof result->output, "cold");
}

static void test_components_come_first(void)
{
    rows seen;
    part math;
    part child;
    double ratio = 0.25;
    mf_runtime *runtime = make();
    mf_health_check check = MF_HEALTH_CHECK_INIT;
    check.component = "cache";
    check.measurement = "ratio";
    check.check = is_cold;
    check.user_data = &ratio;
    add_part(runtime, &math, "math", true);
    add_part(runtime, &child, "child", false);
    mf_check_int(mf_runtime_add_health_check(runtime, &check, NULL), MF_OK);
    visit(runtime, &seen);
    mf_check_int(seen.count, 6);
    mf_check_str(seen.names[0], "child:worker");
    mf_check_str(seen.names[1], "math:worker");
    mf_check_str(seen.names[2], "cache:ratio");
    mf_check_int(seen.rows[2].status, MF_HEALTH_WARN);
    mf_check(seen.rows[2].observed_number == ratio);
    mf_check_str(seen.names[3], "loop:lag");
    mf_check_str(seen.names[4], "uptime:");
    mf_runtime_remove_health_check(runtime, "cache", "ratio");
    mf_runtime_remove_health_check(runtime, "cache", "ratio"); /* unknown: a no-op */
    mfi_runtime_remove_component(runtime, &child.component);
    visit(runtime, &seen);
    mf_check_int(seen.count, 4);
    mf_check_str(seen.names[0], "math:worker");
    mfi_runtime_remove_component(runtime, &math.component);
    mf_runtime_destroy(runtime);
}

static void add_down(void *self, mfi_workers_row *row)
{
    (void)self;
    row->needed = 2;
    row->ready = 1;
    (void)snprintf(row->output, sizeof row->output, "worker math-0 ended");
}

static void add_two_names(void *self, mfi_function_names *names)
{
    (void)self;
    names->names[names->count++] = "add";
    names->names[names->count++] = "sub";
}

static void keep_workers(const mf_health_row *row, void *data)
{
    char *text = data;
    if (strcmp(row->measurement, "workers") == 0) {
        (void)snprintf(text, 256, "%s: %s", row->output, row->affected_count == 2 ? "two" : "?");
        mf_check_str(row->affected[1], "sub");
    }
}

static void test_workers_say_rule_and_functions(void)
{
    char text[256] = "";
    part math = {
        .component = {.target = "math", .add_workers = add_down, .add_names = add_two_names}};
    mf_runtime *runtime = make();
    mfi_runtime_add_component(runtime, &math.component);
    const mf_probe *probe = mf_runtime_probe(runtime);
    probe->visit_health(probe->self, keep_workers, text);
    mf_check_str(text, "worker math-0 ended; rule workers: 1 ready, 2 needed: two");
    mfi_runtime_remove_component(runtime, &math.component);
    mf_runtime_destroy(runtime);
}

static void add_note(const char *note, void *data)
{
    (void)strcat(strcat(data, note), "|"); /* NOLINT: short notes */
}

static void count_changes(void *data)
{
    ++*(int *)data;
}

/* A drain is seen at once, fails /readyz alone, and is begun once. */
static void test_draining(void)
{
    rows seen;
    part math;
    char notes[128] = "";
    int changes = 0;
    mf_runtime *runtime = make();
    const mf_probe *probe = mf_runtime_probe(runtime);
    add_part(runtime, &math, "math", true);
    probe->visit_notes(probe->self, add_note, notes);
    mf_check_contains(notes, "draining no|circuit math ");
    probe->watch(probe->self, count_changes, &changes);
    mf_runtime_begin_drain(runtime);
    mf_runtime_begin_drain(runtime);
    mf_runtime_begin_drain(NULL);
    mf_check_int(changes, 1);
    visit(runtime, &seen);
    mf_check_str(seen.names[seen.count - 1], "process:draining");
    mf_check_int(seen.rows[seen.count - 1].status, MF_HEALTH_FAIL);
    mf_check_int(seen.rows[seen.count - 1].gates, MF_GATE_READY);
    notes[0] = '\0';
    probe->visit_notes(probe->self, add_note, notes);
    mf_check_contains(notes, "draining yes|");
    probe->watch(probe->self, NULL, NULL);
    mfi_runtime_remove_component(runtime, &math.component);
    mf_runtime_destroy(runtime);
}

static void test_checks_that_are_refused(void)
{
    mf_error error = MF_ERROR_INIT;
    mf_runtime *runtime = make();
    mf_health_check check = MF_HEALTH_CHECK_INIT;
    mf_check_int(mf_runtime_add_health_check(NULL, &check, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_str(error.message, "runtime is NULL");
    mf_check_int(mf_runtime_add_health_check(runtime, NULL, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_str(error.message, "check is NULL");
    mf_runtime_remove_health_check(NULL, "cache", NULL);
    mf_runtime_remove_health_check(runtime, NULL, NULL);
    mf_runtime_destroy(runtime);
}

/* ---- Circuits ---- */

static void keep_target(const mf_circuit_row *row, void *data)
{
    char *targets = data;
    (void)strcat(strcat(targets, row->target), " "); /* NOLINT: three short names */
}

static void test_circuits(void)
{
    part parts[4];
    char targets[64] = "";
    mf_runtime *runtime = make();
    const mf_probe *probe = mf_runtime_probe(runtime);
    add_part(runtime, &parts[0], "math", true);
    add_part(runtime, &parts[1], "child", false); /* has none */
    add_part(runtime, &parts[2], "audio", true);
    add_part(runtime, &parts[3], "video", true);
    probe->visit_circuits(probe->self, keep_target, targets);
    mf_check_str(targets, "audio math video ");
    for (int i = 0; i < 4; i++) {
        mfi_runtime_remove_component(runtime, &parts[i].component);
    }
    mf_runtime_destroy(runtime);
}

/* ---- News ---- */

static void test_change_is_logged(void)
{
    char path[512];
    char text[8192] = "";
    mf_runtime *runtime = NULL;
    mf_runtime_options options = MF_RUNTIME_OPTIONS_INIT;
    (void)snprintf(path, sizeof path, "%s/probe.log", mf_test_temp_dir());
    options.log_file = path;
    mf_check_int(mf_runtime_create(&runtime, &options, NULL), MF_OK);
    const mf_probe *probe = mf_runtime_probe(runtime);
    probe->health_changed(probe->self, "cache:ratio", MF_HEALTH_PASS, MF_HEALTH_FAIL, "ice-cold");
    mf_runtime_destroy(runtime); /* all is written */
    FILE *file = fopen(path, "re");
    mf_check(file != NULL);
    if (file != NULL) {
        text[fread(text, 1, sizeof text - 1, file)] = '\0';
        (void)fclose(file);
    }
    mf_check_contains(text, "cache:ratio");
    mf_check_contains(text, "ice-cold");
    mf_check_contains(text, "fail");
}

static const mf_test tests[] = {
    {"probe__workers_say_rule_and_functions", test_workers_say_rule_and_functions},
    {"probe__draining", test_draining},
    {"probe__loop_and_uptime", test_loop_and_uptime},
    {"probe__loop_that_stands_still", test_loop_that_stands_still},
    {"probe__components_come_first_sorted", test_components_come_first},
    {"probe__checks_that_are_refused", test_checks_that_are_refused},
    {"probe__circuits_of_those_that_have_one", test_circuits},
    {"probe__change_of_health_is_logged", test_change_is_logged},
};
MF_TEST_MAIN(tests)
