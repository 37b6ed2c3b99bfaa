/* A check runs under the mutex of the list, so that a program that removes a check can free what
 * the check uses at once. A visit happens about once a second, and nothing else takes the mutex. */
#include "metrics/health_checks.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/list.h"
#include "base/mutex.h"
#include "base/str.h"

#define NAME_MAX_BYTES 64

typedef struct user_check {
    mfi_list_node node;
    char *component, *measurement, *unit;
    unsigned gates;
    mf_health_check_fn check;
    void *user_data;
} user_check;

struct mfi_health_checks {
    mfi_mutex mutex;
    mfi_list list; /* guarded by mutex */
};

static void check_free(user_check *check)
{
    if (check != NULL) {
        free(check->component);
        free(check->measurement);
        free(check->unit);
        free(check);
    }
}

mfi_health_checks *mfi_health_checks_create(void)
{
    mfi_health_checks *checks = calloc(1, sizeof *checks);
    if (checks != NULL) {
        mfi_mutex_init(&checks->mutex);
    }
    return checks;
}

void mfi_health_checks_destroy(mfi_health_checks *checks)
{
    if (checks == NULL) {
        return;
    }
    mfi_list_node *next = NULL;
    for (mfi_list_node *node = checks->list.first; node != NULL; node = next) {
        next = node->next;
        check_free(MFI_CONTAINER(node, user_check, node));
    }
    mfi_mutex_fini(&checks->mutex);
    free(checks);
}

static user_check *find_locked(const mfi_health_checks *checks, const char *component,
                               const char *measurement)
{
    for (mfi_list_node *node = checks->list.first; node != NULL; node = node->next) {
        user_check *at = MFI_CONTAINER(node, user_check, node);
        if (strcmp(at->component, component) == 0 &&
            strcmp(at->measurement, measurement != NULL ? measurement : "") == 0) {
            return at;
        }
    }
    return NULL;
}

static bool name_fits(const char *name)
{
    size_t length = strlen(name);
    return length <= NAME_MAX_BYTES && mfi_correlation_id_valid(name, length) &&
           strchr(name, ':') == NULL;
}

/* NULL without memory. */
static user_check *check_copy(const mf_health_check *from)
{
    user_check *copy = calloc(1, sizeof *copy);
    if (copy == NULL) {
        return NULL;
    }
    copy->component = strdup(from->component);
    copy->measurement = strdup(from->measurement != NULL ? from->measurement : "");
    copy->unit = from->observed_unit != NULL ? strdup(from->observed_unit) : NULL;
    copy->gates = from->gates;
    copy->check = from->check;
    copy->user_data = from->user_data;
    if (copy->component == NULL || copy->measurement == NULL) {
        check_free(copy);
        copy = NULL;
    }
    return copy;
}

mf_status mfi_health_checks_add(mfi_health_checks *checks, const mf_health_check *check,
                                mf_error *error)
{
    mf_health_check from;
    mf_status status =
        mfi_options_copy(&from, sizeof from, sizeof from, check, "mf_health_check", error);
    if (status != MF_OK) {
        return status;
    }
    if (from.check == NULL || from.component == NULL || !name_fits(from.component) ||
        (from.measurement != NULL && !name_fits(from.measurement))) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                        "a health check needs a function, and names of 1 to 64 [A-Za-z0-9._-]");
    }
    user_check *added = check_copy(&from);
    if (added == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a health check");
    }
    mfi_mutex_lock(&checks->mutex);
    bool taken = find_locked(checks, from.component, from.measurement) != NULL;
    if (!taken) {
        mfi_list_push_back(&checks->list, &added->node);
    }
    mfi_mutex_unlock(&checks->mutex);
    if (taken) {
        check_free(added);
        return mfi_fail(error, MF_ERR_EXISTS, "health check '%s:%s' exists already", from.component,
                        from.measurement != NULL ? from.measurement : "");
    }
    return MF_OK;
}

void mfi_health_checks_remove(mfi_health_checks *checks, const char *component,
                              const char *measurement)
{
    mfi_mutex_lock(&checks->mutex);
    user_check *found = find_locked(checks, component, measurement);
    if (found != NULL) {
        mfi_list_remove(&checks->list, &found->node);
    }
    mfi_mutex_unlock(&checks->mutex);
    check_free(found);
}

static void run_check(const user_check *check, mf_health_visit_fn visit, void *user_data)
{
    mf_health_result result = {.status = MF_HEALTH_PASS};
    check->check(&result, check->user_data);
    result.observed_text[sizeof result.observed_text - 1] = '\0';
    result.output[sizeof result.output - 1] = '\0';
    mf_health_row row = {.struct_size = sizeof row,
                         .component = check->component,
                         .measurement = check->measurement,
                         .component_type = "component",
                         .status = result.status,
                         .gates = check->gates,
                         .has_number = result.has_number,
                         .observed_number = result.observed_number,
                         .observed_unit = check->unit};
    row.observed_text = mfi_str_or_null(result.observed_text);
    row.output = result.status != MF_HEALTH_PASS ? result.output : NULL;
    visit(&row, user_data);
}

void mfi_health_checks_visit(mfi_health_checks *checks, mf_health_visit_fn visit, void *user_data)
{
    mfi_mutex_lock(&checks->mutex);
    for (mfi_list_node *node = checks->list.first; node != NULL; node = node->next) {
        run_check(MFI_CONTAINER(node, user_check, node), visit, user_data);
    }
    mfi_mutex_unlock(&checks->mutex);
}
