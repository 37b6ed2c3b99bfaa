/* Tells systemd of the program's state, over the datagram socket that $NOTIFY_SOCKET names. It
 * exists so that a unit of Type=notify is ready when its workers are, and is restarted when the
 * engine hangs rather than when a timer of its own says so; without libsystemd.
 *
 * A thread looks at the last evaluation of the health checks, as an endpoint does. */
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/number.h"
#include "base/str.h"
#include "core/runtime/runtime.h"
#include "metrics/evaluation.h"

#define INTERVAL_MS 1000
#define SEND_WAIT_US 100000 /* of a datagram that systemd has no room for */
#define EXTEND                                                                                     \
    "EXTEND_TIMEOUT_USEC=5000000\n" /* repeated every second while the program drains              \
                                     */
#define AGAIN_PART 8 /* of the watchdog's span: until a message that was not told goes again */
#define STATUS_MAX 900

struct mfi_systemd {
    mf_runtime *runtime;
    mfi_health *health;
    pthread_t thread;
    int fd;
    struct sockaddr_un address;
    socklen_t address_size;
    uint64_t watchdog_ns; /* between two WATCHDOG=1; 0: the unit has none */
    uint64_t watchdog_due_ns, extend_due_ns;
    bool is_ready, said_stopping; /* and systemd took it */
    char status[STATUS_MAX];      /* that systemd has */
    _Atomic(bool) stopping, woken;
};

/* ---- What systemd says ---- */

/* A path, or a name of the abstract space, which begins with "@". */
static mf_status read_address(struct mfi_systemd *to, const char *name, mf_error *error)
{
    size_t length = strlen(name);
    if ((name[0] != '/' && name[0] != '@') || length < 2 || length >= sizeof to->address.sun_path) {
        char shown[64];
        (void)mfi_str_copy_visible(shown, sizeof shown, name, length);
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                        "NOTIFY_SOCKET is '%s': it must be a path, or a name that begins with @",
                        shown);
    }
    to->address.sun_family = AF_UNIX;
    memcpy(to->address.sun_path, name, length + 1);
    to->address_size =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (name[0] == '/'));
    if (name[0] == '@') {
        to->address.sun_path[0] = '\0';
    }
    return MF_OK;
}

static uint64_t read_number(const char *text)
{
    char *end = NULL;
    if (text == NULL || text[0] < '0' || text[0] > '9') {
        return 0;
    }
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' ? number : 0;
}

/* The watchdog of another process, such as the shell that started this one, is not ours. */
static void read_watchdog(struct mfi_systemd *to)
{
    const char *usec = getenv("WATCHDOG_USEC"); /* NOLINT: read once, at creation */
    const char *pid = getenv("WATCHDOG_PID");   /* NOLINT: as above */
    uint64_t span = read_number(usec);
    if (span > 0 && span < UINT64_MAX / 1000 &&
        (pid == NULL || read_number(pid) == (uint64_t)getpid())) {
        to->watchdog_ns = span * 1000 / 2;
    }
}

/* ---- What systemd is told ---- */

static bool tell(struct mfi_systemd *to, const char *text)
{
    ssize_t sent = sendto(to->fd, text, strlen(text), MSG_NOSIGNAL,
                          (const struct sockaddr *)&to->address, to->address_size);
    return sent >= 0;
}

typedef struct judgement {
    bool is_live, has_started;
    char status[STATUS_MAX];
} judgement;

/* The largest response time of a target; NaN if no target has one. */
static double read_p99(const mfi_check *checks, size_t count)
{
    static const char ending[] = ":responseTime";
    double most = (double)NAN;
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(checks[i].name);
        bool is_one = length >= sizeof ending &&
                      strcmp(checks[i].name + length + 1 - sizeof ending, ending) == 0;
        if (is_one && checks[i].has_number && !(checks[i].number <= most)) {
            most = checks[i].number;
        }
    }
    return most;
}

static const mfi_check *find_worst(const mfi_check *checks, size_t count)
{
    mf_health worst = mfi_evaluation_gate(checks, count, MF_GATE_NONE);
    for (size_t i = 0; i < count && worst != MF_HEALTH_PASS; i++) {
        if (checks[i].status == worst) {
            return &checks[i];
        }
    }
    return NULL;
}

static void describe(const struct mfi_systemd *from, const mfi_check *checks, size_t count,
                     char *to)
{
    mfi_program_load load;
    double p99 = read_p99(checks, count);
    mfi_observer_read_load(from->runtime->observer, &load);
    size_t length = mfi_str_format(
        to, STATUS_MAX, "%s%llu of %llu workers ready, p99 %s%s, %llu calls in flight",
        atomic_load(&from->runtime->draining) ? "draining: " : "", (unsigned long long)load.ready,
        (unsigned long long)load.workers, isnan(p99) ? "unknown" : mfi_fixed_text(p99, 6).text,
        isnan(p99) ? "" : " s", (unsigned long long)load.in_flight);
    const mfi_check *worst = find_worst(checks, count);
    if (worst != NULL) {
        char since[40];
        (void)mfi_format_rfc3339(since, sizeof since, worst->since_wall_ns, 0);
        (void)mfi_str_format(to + length, STATUS_MAX - length, "; %s %s since %s: %s", worst->name,
                             worst->status == MF_HEALTH_FAIL ? "fails" : "warns", since,
                             worst->output);
    }
    for (char *c = strpbrk(to, "\r\n"); c != NULL; c = strpbrk(c, "\r\n")) {
        *c = ' '; /* a line ends a field */
    }
}

/* A runtime without a parent, pool or child has not begun what it is for, and neither has a child
 * that serves nobody yet. An evaluation that began before the last of them came says nothing of it.
 */
static bool has_begun(mf_runtime *runtime, uint64_t evaluation_began_ns)
{
    mfi_mutex_lock(&runtime->mutex);
    bool begun =
        runtime->components.first != NULL && evaluation_began_ns > runtime->component_added_ns;
    for (mfi_list_node *node = runtime->components.first; node != NULL; node = node->next) {
        const mfi_component *at = MFI_CONTAINER(node, mfi_component, node);
        begun = begun && (at->serves == NULL || at->serves(at->self));
    }
    mfi_mutex_unlock(&runtime->mutex);
    return begun;
}

/* False without memory. The runtime is not asked while its checks hang: its locks may be held. */
static bool judge(struct mfi_systemd *from, judgement *ret_judgement)
{
    size_t count = 0;
    uint64_t wall_ns = 0;
    uint64_t age_ns = 0;
    uint64_t began_ns = mfi_evaluation_began_ns(from->health); /* of this copy, or an older one */
    mfi_check *checks = mfi_evaluation_copy(from->health, &count, &wall_ns, &age_ns);
    if (checks == NULL) {
        return false;
    }
    bool hangs = mfi_evaluation_hangs(from->health, age_ns);
    ret_judgement->is_live =
        !hangs && mfi_evaluation_gate(checks, count, MF_GATE_LIVE) != MF_HEALTH_FAIL;
    ret_judgement->has_started =
        !hangs && mfi_evaluation_gate(checks, count, MF_GATE_STARTUP) != MF_HEALTH_FAIL &&
        has_begun(from->runtime, began_ns);
    if (hangs) {
        (void)mfi_str_format(ret_judgement->status, STATUS_MAX,
                             "the health checks have not been evaluated for %s s",
                             mfi_fixed_text((double)age_ns / 1e9, 0).text);
    } else {
        describe(from, checks, count, ret_judgement->status);
    }
    free(checks);
    return true;
}

static void tell_status(struct mfi_systemd *to, const judgement *now)
{
    char text[STATUS_MAX + 32];
    bool gets_ready = !to->is_ready && now->has_started;
    if (!gets_ready && strcmp(now->status, to->status) == 0) {
        return;
    }
    (void)mfi_str_format(text, sizeof text, "%sSTATUS=%s\n", gets_ready ? "READY=1\n" : "",
                         now->status);
    if (tell(to, text)) {
        to->is_ready = to->is_ready || gets_ready;
        (void)mfi_str_copy(to->status, sizeof to->status, now->status);
    }
}

/* The program has more time as long as its engine goes on; one that hangs is killed in the end. */
static void tell_end(struct mfi_systemd *to, bool is_live, uint64_t now_ns)
{
    if (!to->said_stopping) {
        to->said_stopping = tell(to, "STOPPING=1\n" EXTEND);
        to->extend_due_ns = now_ns + MFI_NS_PER_S;
    } else if (is_live && now_ns >= to->extend_due_ns) {
        (void)tell(to, EXTEND);
        to->extend_due_ns = now_ns + MFI_NS_PER_S;
    }
}

/* One lost message, or a moment in which the program is not live, must not cost it its life. */
static uint64_t again_ns(const struct mfi_systemd *to)
{
    uint64_t part = to->watchdog_ns / AGAIN_PART;
    return part < MFI_NS_PER_S ? part : MFI_NS_PER_S;
}

static void tell_all(struct mfi_systemd *to)
{
    judgement now = {.is_live = false};
    uint64_t now_ns = mfi_monotonic_ns();
    if (!judge(to, &now)) {
        return;
    }
    tell_status(to, &now);
    if (atomic_load(&to->runtime->draining)) {
        tell_end(to, now.is_live, now_ns);
    }
    if (to->watchdog_ns != 0 && now_ns >= to->watchdog_due_ns) {
        bool told = now.is_live && tell(to, "WATCHDOG=1\n");
        to->watchdog_due_ns = now_ns + (told ? to->watchdog_ns : again_ns(to));
    }
}

static void *run(void *argument)
{
    struct mfi_systemd *to = argument;
    uint64_t serial = 0;
    while (!atomic_load(&to->stopping)) {
        uint64_t now_ns = mfi_monotonic_ns();
        uint64_t next = mfi_deadline_after_ms(now_ns, INTERVAL_MS);
        tell_all(to);
        /* One that is still due was not told for want of memory. */
        if (to->watchdog_ns != 0 && to->watchdog_due_ns > now_ns && to->watchdog_due_ns < next) {
            next = to->watchdog_due_ns;
        }
        serial = mfi_evaluation_wait(to->health, serial, next, &to->woken);
        atomic_store(&to->woken, false);
    }
    return NULL;
}

/* ---- Life ---- */

static void end(struct mfi_systemd *systemd)
{
    mfi_evaluation_release(systemd->health);
    if (systemd->fd >= 0) {
        (void)close(systemd->fd);
    }
    free(systemd);
}

static mf_status begin(struct mfi_systemd *systemd, mf_error *error)
{
    const struct timeval wait = {.tv_usec = SEND_WAIT_US};
    systemd->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (systemd->fd < 0) {
        return mfi_fail_errno(error, MF_ERR_SYSTEM, errno, "cannot make a socket for systemd");
    }
    (void)setsockopt(systemd->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    mf_status status =
        mfi_evaluation_share(&systemd->health, &systemd->runtime->probe, INTERVAL_MS, error);
    if (status != MF_OK) {
        return status;
    }
    int started = mfi_thread_start(&systemd->thread, "mf-systemd", run, systemd);
    return started == 0
               ? MF_OK
               : mfi_fail_errno(error, MF_ERR_SYSTEM, started, "cannot start the systemd thread");
}

mf_status mfi_systemd_start(mf_runtime *runtime, mf_error *error)
{
    const char *name = getenv("NOTIFY_SOCKET"); /* NOLINT: read once, at creation */
    if (name == NULL || name[0] == '\0') {
        return MF_OK;
    }
    struct mfi_systemd *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for the service manager's thread");
    }
    made->runtime = runtime;
    made->fd = -1;
    mf_status status = read_address(made, name, error);
    if (status == MF_OK) {
        read_watchdog(made);
        status = begin(made, error);
    }
    if (status != MF_OK) {
        end(made);
        return status;
    }
    runtime->systemd = made;
    return MF_OK;
}

static void wake(struct mfi_systemd *systemd)
{
    atomic_store(&systemd->woken, true);
    mfi_evaluation_wake(systemd->health);
}

void mfi_systemd_wake(mf_runtime *runtime)
{
    mfi_mutex_lock(&runtime->mutex);
    if (runtime->systemd != NULL) {
        wake(runtime->systemd);
    }
    mfi_mutex_unlock(&runtime->mutex);
}

void mfi_systemd_stop(mf_runtime *runtime)
{
    mfi_mutex_lock(&runtime->mutex);
    struct mfi_systemd *systemd = runtime->systemd;
    runtime->systemd = NULL;
    mfi_mutex_unlock(&runtime->mutex);
    if (systemd == NULL) {
        return;
    }
    atomic_store(&systemd->stopping, true);
    wake(systemd);
    (void)pthread_join(systemd->thread, NULL);
    tell_end(systemd, false, mfi_monotonic_ns());
    end(systemd);
}
