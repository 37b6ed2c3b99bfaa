/* Who may connect: this user, root, and users that an option names; or the processes of a tree. And
 * what holds where the kernel does not tell. */
#include "core/process/admission.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mf_refuse.h"
#include "mf_test.h"

#define ANOTHER_UID 54321

/* ---- A connection of another process ---- */

typedef struct connection {
    int server; /* this process's end */
    pid_t pid;  /* of the process that has the other end */
    int held;   /* when it is closed, that process ends */
} connection;

static void run_client(uint16_t port, uid_t uid, int held)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = port};
    char byte = 0;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bool is_user = uid == getuid() || setuid(uid) == 0;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (is_user && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0) {
        (void)!read(held, &byte, 1);
    }
    _exit(0);
}

static connection connect_as(uid_t uid)
{
    int ends[2] = {-1, -1};
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    mf_check_int(bind(listener, (const struct sockaddr *)&address, sizeof address), 0);
    mf_check_int(listen(listener, 4), 0);
    mf_check_int(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    mf_check_int(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(ends[1]);
        (void)close(listener);
        run_client(address.sin_port, uid, ends[0]);
    }
    (void)close(ends[0]);
    connection made = {.pid = pid, .held = ends[1]};
    made.server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    mf_check(made.server >= 0);
    (void)close(listener);
    return made;
}

static void end_client(connection *made)
{
    if (made->held >= 0) {
        mf_check_int(kill(made->pid, SIGKILL), 0); /* a later client has a copy of the pipe */
        (void)close(made->held);
        mf_check_int(waitpid(made->pid, NULL, 0), made->pid);
        made->held = -1;
    }
}

static void end(connection *made)
{
    end_client(made);
    (void)close(made->server);
}

/* ---- Users ---- */

static bool is_root(void)
{
    if (getuid() != 0) {
        (void)fprintf(stderr, "skipped: only root can be another user\n");
    }
    return getuid() == 0;
}

static void check_told(const mfi_admission *admission, const char *text)
{
    char told[MFI_ADMISSION_TEXT_MAX] = "";
    mfi_admission_tell(admission, told);
    mf_check_str(told, text);
}

static void test_own_user_is_admitted(void)
{
    mfi_admission admission = {0};
    connection made = connect_as(getuid());
    mf_check(mfi_admission_admits(&admission, made.server));
    mf_check(!mfi_admission_was_blind(&admission));
    end(&made);
}

static void test_another_user_is_refused_unless_named(void)
{
    static const char *const names[] = {"54321", NULL};
    mfi_admission admission = {0};
    if (!is_root()) {
        return;
    }
    connection made = connect_as(ANOTHER_UID);
    mf_check(!mfi_admission_admits(&admission, made.server));
    check_told(&admission, "uid 54321 is not in allow_users");
    mf_check(!mfi_admission_was_blind(&admission));
    mf_check_int(mfi_admission_allow(&admission, names, NULL), MF_OK);
    mf_check(mfi_admission_admits(&admission, made.server));
    end(&made);
}

/* On a thread of its own: the system call, unlike the function of libc, is about one thread. */
static void admit_root(void *data)
{
    mfi_admission admission = {0};
    const connection *made = data;
    mf_check_int(syscall(SYS_setresuid, -1, ANOTHER_UID, -1), 0);
    mf_check_int(geteuid(), ANOTHER_UID);
    mf_check(mfi_admission_admits(&admission, made->server));
}

static void test_root_is_admitted_by_another_user(void)
{
    static const long none[] = {SYS_reboot};
    if (is_root()) {
        connection made = connect_as(0);
        (void)mf_test_refusing(none, 1, EPERM, admit_root, &made);
        end(&made);
    }
}

static void test_users_have_names_and_numbers(void)
{
    static const char *const names[] = {"root", "4294967294", "12", NULL};
    mfi_admission admission = {0};
    mf_check_int(mfi_admission_allow(&admission, names, NULL), MF_OK);
    mf_check_int(admission.user_count, 3);
    mf_check_int(admission.users[0], 0);
    mf_check_int(admission.users[1], 4294967294);
    mf_check_int(admission.users[2], 12);
    mf_check_int(mfi_admission_allow(&admission, NULL, NULL), MF_OK);
    mf_check_int(admission.user_count, 3);
}

static void check_not_allowed(const char *name, const char *text)
{
    const char *names[] = {name, NULL};
    mfi_admission admission = {0};
    mf_error error = MF_ERROR_INIT;
    mf_check_int(mfi_admission_allow(&admission, names, &error), MF_ERR_INVALID_ARGUMENT);
    mf_check_contains(error.message, text);
    mf_check_int(admission.user_count, 0);
}

static void test_absent_users_are_named(void)
{
    check_not_allowed("no-such-user-here", "allow_users: there is no user 'no-such-user-here'");
    check_not_allowed("4294967295", "there is no user '4294967295'"); /* the kernel's "none" */
    check_not_allowed("-1", "there is no user '-1'");
    check_not_allowed("", "there is no user ''");
}

static void test_too_many_users(void)
{
    const char *names[MFI_ADMISSION_USERS_MAX + 1] = {NULL};
    mfi_admission admission = {0};
    mf_error error = MF_ERROR_INIT;
    for (int i = 0; i < MFI_ADMISSION_USERS_MAX; i++) {
        names[i] = "7";
    }
    mf_check_int(mfi_admission_allow(&admission, names, &error), MF_OK);
    mf_check_int(mfi_admission_allow(&admission, names, &error), MF_ERR_LIMIT);
    mf_check_contains(error.message, "allow_users has more than 32 users");
}

/* ---- A tree ---- */

static void test_only_the_tree_is_admitted(void)
{
    char text[MFI_ADMISSION_TEXT_MAX];
    connection made = connect_as(getuid());
    connection other = connect_as(getuid());
    mfi_admission admission = {.root = made.pid};
    mf_check(mfi_admission_admits(&admission, made.server));
    mf_check(!mfi_admission_admits(&admission, other.server));
    (void)snprintf(text, sizeof text,
                   "a process of uid %u holds it that is not below the worker's helper",
                   (unsigned)getuid());
    check_told(&admission, text);
    mf_check(!mfi_admission_was_blind(&admission));
    end(&made);
    end(&other);
}

/* A worker that gave up root is below the helper all the same. */
static void test_a_worker_of_another_user_is_in_the_tree(void)
{
    if (is_root()) {
        connection made = connect_as(ANOTHER_UID);
        mfi_admission admission = {.root = made.pid};
        mf_check(mfi_admission_admits(&admission, made.server));
        mf_check(!mfi_admission_was_blind(&admission));
        end(&made);
    }
}

typedef struct hidden {
    const connection *made;
    pid_t root;
    bool admits;
} hidden;

/* On a thread that can open no file. */
static void judge_hidden(void *data)
{
    const hidden *at = data;
    mfi_admission admission = {.root = at->root};
    mf_check_int(mfi_admission_admits(&admission, at->made->server), at->admits);
    mf_check(mfi_admission_was_blind(&admission));
    mf_check(!mfi_admission_was_blind(&admission)); /* told once */
}

static void check_hidden(uid_t uid, bool is_below, bool admits)
{
    static const long refused[] = {SYS_openat};
    connection made = connect_as(uid);
    connection other = connect_as(getuid());
    hidden at = {.made = &made, .root = is_below ? made.pid : other.pid, .admits = admits};
    (void)mf_test_refusing(refused, 1, EACCES, judge_hidden, &at);
    end(&made);
    end(&other);
}

static void test_a_hidden_tree_leaves_users(void)
{
    check_hidden(getuid(), true, true);
    check_hidden(getuid(), false, true); /* nothing tells it from the worker */
    if (is_root()) {
        check_hidden(ANOTHER_UID, true, true); /* a hidden process of the tree has that user */
        check_hidden(ANOTHER_UID, false, false);
    }
}

/* ---- Without an answer ---- */

static void admit_blindly(void *data)
{
    const connection *made = data;
    mfi_admission service = {0};
    mfi_admission parent = {.root = made->pid};
    mf_check(mfi_admission_admits(&service, made->server));
    mf_check(mfi_admission_was_blind(&service));
    mf_check(!mfi_admission_was_blind(&service));
    mf_check(mfi_admission_admits(&parent, made->server));
    mf_check(mfi_admission_was_blind(&parent));
}

static void test_a_kernel_that_tells_nothing_admits(void)
{
    static const long refused[] = {SYS_socket, SYS_openat};
    connection made = connect_as(getuid());
    (void)mf_test_refusing(refused, 2, EACCES, admit_blindly, &made);
    end(&made);
}

static void refuse_for_now(void *data)
{
    const connection *made = data;
    mfi_admission admission = {0};
    mf_check(!mfi_admission_admits(&admission, made->server));
    mf_check(!mfi_admission_was_blind(&admission));
    check_told(&admission, "no descriptor or memory is left to ask the kernel whose it is");
}

/* A process that is at its last descriptor does not admit everybody for that. */
static void test_without_descriptors_nobody_is_admitted(void)
{
    static const long refused[] = {SYS_socket, SYS_openat};
    connection made = connect_as(getuid());
    (void)mf_test_refusing(refused, 2, EMFILE, refuse_for_now, &made);
    end(&made);
}

static void test_a_closed_connection_is_refused(void)
{
    mfi_admission admission = {0};
    connection made = connect_as(getuid());
    end_client(&made);
    mf_check(!mfi_admission_admits(&admission, made.server));
    check_told(&admission, "its process has closed it already");
    end(&made);
    mf_check(!mfi_admission_admits(&admission, made.server)); /* no descriptor */
}

static const mf_test tests[] = {
    {"admission__own_user_is_admitted", test_own_user_is_admitted},
    {"admission__another_user_is_refused_unless_named", test_another_user_is_refused_unless_named},
    {"admission__root_is_admitted_by_another_user", test_root_is_admitted_by_another_user},
    {"admission__users_have_names_and_numbers", test_users_have_names_and_numbers},
    {"admission__absent_users_are_named", test_absent_users_are_named},
    {"admission__too_many_users", test_too_many_users},
    {"admission__only_the_tree_is_admitted", test_only_the_tree_is_admitted},
    {"admission__a_worker_of_another_user_is_in_the_tree",
     test_a_worker_of_another_user_is_in_the_tree},
    {"admission__a_hidden_tree_leaves_users", test_a_hidden_tree_leaves_users},
    {"admission__a_kernel_that_tells_nothing_admits", test_a_kernel_that_tells_nothing_admits},
    {"admission__without_descriptors_nobody_is_admitted",
     test_without_descriptors_nobody_is_admitted},
    {"admission__a_closed_connection_is_refused", test_a_closed_connection_is_refused},
};
MF_TEST_MAIN(tests)
