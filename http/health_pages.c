/* Makes the pages /health, /healthz and those of the probes from the last evaluation, as
 * application/health+json or text. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <multifrost/version.h>

#include "base/clock.h"
#include "base/number.h"
#include "base/str.h"
#include "http/json.h"
#include "http/pages.h"
#include "http/status_page.h"

#define UNKNOWN_MAX 16   /* names that one query excludes */
#define UNKNOWN_SIZE 101 /* longer names are cut */
#define OUTPUT_SIZE 600  /* of a check, with the time since when it is so */

#define NOTE "no check '%s' here to exclude"

static const char *const words[] = {"pass", "warn", "fail"};

static bool is_excluded(const mfi_page_request *request, const char *name)
{
    for (size_t i = 0; request->excluded[i] != NULL; i++) {
        if (strcmp(request->excluded[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* Keeps the checks of the gate (0: all) that the request names and does not exclude. */
static size_t select_checks(const mfi_page_request *request, unsigned gate, mfi_check *checks,
                            size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        bool asked = request->rest[0] == '\0' || strcmp(checks[i].name, request->rest) == 0;
        bool gated = gate == 0 || (checks[i].gates & gate) != 0;
        if (asked && gated && !is_excluded(request, checks[i].name)) {
            checks[kept++] = checks[i];
        }
    }
    return kept;
}

/* The names that the request excludes and that no check of the gate has; as Kubernetes does, the
 * answer says so and is otherwise the same. */
typedef struct unknown_names {
    char names[UNKNOWN_MAX][UNKNOWN_SIZE]; /* visible characters alone */
    size_t count;
} unknown_names;

static bool has_check(unsigned gate, const mfi_check *checks, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if ((gate == 0 || (checks[i].gates & gate) != 0) && strcmp(checks[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void find_unknown(unknown_names *to, const mfi_page_request *request, unsigned gate,
                         const mfi_check *checks, size_t count)
{
    to->count = 0;
    for (size_t i = 0; request->excluded[i] != NULL && to->count < UNKNOWN_MAX; i++) {
        const char *name = request->excluded[i];
        if (name[0] != '\0' && !has_check(gate, checks, count, name)) {
            (void)mfi_str_copy_visible(to->names[to->count++], UNKNOWN_SIZE, name, strlen(name));
        }
    }
}

static mf_health worst(const mfi_check *checks, size_t count)
{
    return mfi_evaluation_gate(checks, count, MF_GATE_NONE);
}

/* ---- Bodies ---- */

/* Why the check did not pass, and since when. */
static const char *explain(const mfi_check *check, char *to)
{
    char time[40] = "";
    bool is_known = check->status != MF_HEALTH_PASS && check->since_wall_ns != 0;
    if (is_known) {
        (void)mfi_format_rfc3339(time, sizeof time, check->since_wall_ns, 3);
    }
    (void)mfi_str_format(to, OUTPUT_SIZE, "%s%s%s", check->output, is_known ? "; since " : "",
                         time);
    return to;
}

static void add_affected(mfi_json one, const mfi_check *check)
{
    mfi_json names = mfi_json_array(one, "affectedEndpoints");
    for (size_t i = 0; i < check->affected_count; i++) {
        mfi_json_text_entry(names, check->affected[i]);
    }
}

static void add_check(mfi_json all, const mfi_check *check, uint64_t wall_ns)
{
    cJSON *rows = cJSON_GetObjectItemCaseSensitive(all.item, check->name);
    mfi_json one = mfi_json_entry(rows != NULL ? (mfi_json){.item = rows, .failed = all.failed}
                                               : mfi_json_array(all, check->name));
    bool has_number = check->has_number && isfinite(check->number); /* JSON has no other */
    mfi_json_text(one, "componentType", check->component_type);
    mfi_json_text(one, "status", words[check->status]);
    if (check->text[0] != '\0') {
        mfi_json_text(one, "observedValue", check->text);
    } else if (has_number) {
        mfi_json_number(one, "observedValue", check->number);
    }
    if (check->unit[0] != '\0' && (has_number || check->text[0] != '\0')) {
        mfi_json_text(one, "observedUnit", check->unit);
    }
    mfi_json_time(one, "time", wall_ns);
    if (check->status != MF_HEALTH_PASS && check->output[0] != '\0') {
        char output[OUTPUT_SIZE];
        mfi_json_text(one, "output", explain(check, output));
    }
    if (check->affected_count != 0) {
        add_affected(one, check);
    }
}

/* One line for people: the output of a check with the worst status, or that all pass. */
static const char *describe(const mfi_check *checks, size_t count, char *to)
{
    mf_health status = worst(checks, count);
    for (size_t i = 0; i < count && status != MF_HEALTH_PASS; i++) {
        if (checks[i].status == status && checks[i].output[0] != '\0') {
            return explain(&checks[i], to);
        }
        if (checks[i].status == status) { /* a check of the program that says no more */
            char since[OUTPUT_SIZE];
            (void)mfi_str_format(to, OUTPUT_SIZE, "%s %s%s", checks[i].name,
                                 status == MF_HEALTH_FAIL ? "fails" : "warns",
                                 explain(&checks[i], since));
            return to;
        }
    }
    return "all checks pass";
}

/* What the program says of its state, and what the request asked for in vain. */
static void add_notes(mfi_json body, mfi_health *health, const unknown_names *unknown)
{
    size_t count = 0;
    char(*told)[MFI_NOTE_MAX] = mfi_evaluation_notes(health, &count);
    if (count + unknown->count != 0) {
        mfi_json notes = mfi_json_array(body, "notes");
        for (size_t i = 0; i < count; i++) {
            mfi_json_text_entry(notes, told[i]);
        }
        for (size_t i = 0; i < unknown->count; i++) {
            char note[UNKNOWN_SIZE + 48];
            (void)mfi_str_format(note, sizeof note, NOTE, unknown->names[i]);
            mfi_json_text_entry(notes, note);
        }
    }
    free(told);
}

static void json_body(const mfi_page_request *request, mfi_page *page, const mfi_check *checks,
                      size_t count, const unknown_names *unknown, uint64_t wall_ns)
{
    bool failed = false;
    char output[OUTPUT_SIZE];
    const mf_probe_info *info = &request->probe->info;
    mfi_json body = mfi_json_part((mfi_json){.failed = &failed}, cJSON_CreateObject());
    mfi_json_text(body, "status", words[worst(checks, count)]);
    mfi_json_text(body, "version", "1");
    mfi_json_text(body, "releaseId",
                  info->version != NULL && info->version[0] != '\0' ? info->version
                                                                    : MF_VERSION_STRING);
    mfi_json_text(body, "serviceId", info->service);
    mfi_json_text(body, "description", describe(checks, count, output));
    mfi_json all = mfi_json_object(body, "checks");
    for (size_t i = 0; i < count; i++) {
        add_check(all, &checks[i], wall_ns);
    }
    add_notes(body, request->health, unknown);
    if (!request->probes_only) {
        mfi_json links = mfi_json_object(body, "links");
        mfi_json_text(links, "circuits", "/circuits");
        mfi_json_text(links, "metrics", "/metrics");
    }
    mfi_json_print(body, page, "application/health+json");
    cJSON_Delete(body.item);
}

static void text_body(mfi_page *page, const mfi_check *checks, size_t count,
                      const unknown_names *unknown)
{
    mfi_buf body;
    mfi_buf_init(&body, 0);
    for (size_t i = 0; i < count; i++) {
        char output[OUTPUT_SIZE];
        bool fails = checks[i].status == MF_HEALTH_FAIL;
        mfi_buf_printf(&body, "[%c]%s %s%s%s\n", fails ? '-' : '+', checks[i].name,
                       fails                                ? "failed"
                       : checks[i].status == MF_HEALTH_WARN ? "warn"
                                                            : "ok",
                       checks[i].output[0] != '\0' ? ": " : "", explain(&checks[i], output));
    }
    for (size_t i = 0; i < unknown->count; i++) {
        mfi_buf_printf(&body, "[!]" NOTE "\n", unknown->names[i]);
    }
    mfi_buf_printf(&body, "%s\n", words[worst(checks, count)]);
    if (body.failed) {
        mfi_buf_fini(&body); /* no body: no memory */
    } else {
        page->body = (char *)mfi_buf_take(&body, &page->size);
    }
    (void)mfi_str_copy(page->type, sizeof page->type, "text/plain; charset=utf-8");
}

static bool wants_text(const mfi_page_request *request)
{
    return request->verbose ||
           (request->accept != NULL && strncmp(request->accept, "text/plain", 10) == 0);
}

/* ---- Routes ---- */

/* Adds a check that fails if the evaluation hangs, so that /livez shows it. */
static size_t add_stuck(mfi_check *checks, size_t count, uint64_t age_ns)
{
    mfi_check *stuck = &checks[count];
    memset(stuck, 0, sizeof *stuck);
    (void)mfi_str_copy(stuck->name, sizeof stuck->name, "health:evaluation");
    (void)mfi_str_copy(stuck->component_type, sizeof stuck->component_type, "system");
    (void)mfi_str_format(stuck->output, sizeof stuck->output,
                         "the health checks have not been evaluated for %s s",
                         mfi_fixed_text((double)age_ns / 1e9, 0).text);
    stuck->status = MF_HEALTH_FAIL;
    stuck->gates = MF_GATE_LIVE;
    return count + 1;
}

/* Orchestrators take any code but 200 for a failure, so that only /health and /healthz warn. */
static int code_of(const mfi_page_request *request, unsigned gate, mf_health status)
{
    bool warns = status == MF_HEALTH_WARN && gate == MF_GATE_NONE && request->warn_code != 0;
    return status == MF_HEALTH_FAIL ? 503 : warns ? request->warn_code : 200;
}

static void answer(const mfi_page_request *request, mfi_page *page, unsigned gate, bool one_word)
{
    size_t count = 0;
    uint64_t wall_ns = 0;
    uint64_t age_ns = 0;
    mfi_check *checks = mfi_evaluation_copy(request->health, &count, &wall_ns, &age_ns);
    if (checks == NULL) {
        mfi_page_error(page, 500, "no memory");
        return;
    }
    if (mfi_evaluation_hangs(request->health, age_ns)) {
        count = add_stuck(checks, count, age_ns); /* the copy has room for one check more */
    }
    unknown_names unknown;
    find_unknown(&unknown, request, gate, checks, count);
    count = select_checks(request, gate, checks, count);
    page->age_ms = (int64_t)(age_ns / MFI_NS_PER_MS);
    if (count == 0 && request->rest[0] != '\0') {
        mfi_page_error(page, 404, "no check '%.100s' here", request->rest);
    } else {
        mf_health status = worst(checks, count);
        page->code = code_of(request, gate, status);
        if (one_word) {
            page->body = strdup(status != MF_HEALTH_FAIL ? "ok\n" : "fail\n");
            page->size = page->body != NULL ? strlen(page->body) : 0;
            (void)mfi_str_copy(page->type, sizeof page->type, "text/plain; charset=utf-8");
        } else if (wants_text(request)) {
            text_body(page, checks, count, &unknown);
        } else {
            json_body(request, page, checks, count, &unknown, wall_ns);
        }
    }
    free(checks);
}

void mfi_page_livez(const mfi_page_request *request, mfi_page *page)
{
    answer(request, page, MF_GATE_LIVE, false);
}

void mfi_page_readyz(const mfi_page_request *request, mfi_page *page)
{
    answer(request, page, MF_GATE_READY, false);
}

void mfi_page_startupz(const mfi_page_request *request, mfi_page *page)
{
    answer(request, page, MF_GATE_STARTUP, false);
}

void mfi_page_health(const mfi_page_request *request, mfi_page *page)
{
    answer(request, page, MF_GATE_NONE, false);
    mfi_status_page_for_people(request, page);
}

void mfi_page_healthz(const mfi_page_request *request, mfi_page *page)
{
    answer(request, page, MF_GATE_NONE, true);
}
