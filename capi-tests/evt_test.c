/* The frame of the test programs: checks, watchdog, roles. See evt_test.h. */
#include "evt_test.h"

#include <sys/socket.h>
#include <sys/time.h>

static const char *program_name = "?";
static const char *program_path;
static const char *role = "";
static const char *role_argument = "";
static unsigned long checks;
static unsigned long failures;
static unsigned long failed_choices;
static unsigned long skips;
static pthread_mutex_t count_lock = PTHREAD_MUTEX_INITIALIZER;

/* Set by all threads and read by the signal handler, which may take no lock: by the atomic
 * builtins, as C99 has none. A torn pair would only name a wrong line. */
static const char *place_file = "start";
static int place_line;

static void write_text(const char *text)
{
    size_t left = strlen(text);
    while (left > 0) {
        ssize_t written = write(STDERR_FILENO, text, left);
        if (written <= 0)
            return;
        text += written;
        left -= (size_t)written;
    }
}

/* Runs in a signal handler, hence without stdio. */
static void watchdog_bites(int signal_number)
{
    char digits[16];
    size_t at = sizeof digits - 1;
    int line = __atomic_load_n(&place_line, __ATOMIC_RELAXED);
    (void)signal_number;
    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + line % 10);
        line /= 10;
    } while (line > 0 && at > 0);
    write_text("watchdog: ");
    write_text(program_name);
    write_text(" ");
    write_text(role);
    write_text(" does not get past ");
    write_text(__atomic_load_n(&place_file, __ATOMIC_RELAXED));
    write_text(":");
    write_text(digits + at);
    write_text("\n");
    _exit(3);
}

void test_watchdog_start(void)
{
    const char *seconds = getenv("EVT_TEST_WATCHDOG");
    struct itimerval timer;
    struct sigaction action;
    memset(&timer, 0, sizeof timer);
    memset(&action, 0, sizeof action);
    timer.it_value.tv_sec = seconds != NULL ? atoi(seconds) : 60;
    action.sa_handler = watchdog_bites;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
}

void test_begin(int argc, char **argv)
{
    const char *slash = strrchr(argv[0], '/');
    program_path = argv[0];
    program_name = slash != NULL ? slash + 1 : argv[0];
    if (argc > 1)
        role = argv[1];
    if (argc > 2)
        role_argument = argv[2];
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    test_watchdog_start();
}

int test_end(void)
{
    const char *choices = getenv("EVT_TEST_REC");
    int choices_count = choices == NULL || strcmp(choices, "0") != 0;
    unsigned long bad;
    wrong_handles_end();
    bad = failures + (choices_count ? failed_choices : 0);
    if (role[0] != '\0')
        return bad > 0 ? 1 : 0;
    if (checks == 0 && skips > 0)
        return 77;
    if (checks == 0) {
        printf("FAILED %s: nothing was checked\n", program_name);
        return 1;
    }
    if (bad > 0) {
        printf("FAILED %s: %lu of %lu checks, and %lu choices\n", program_name, failures, checks,
               failed_choices);
        return 1;
    }
    printf("ok %s (%lu checks)\n", program_name, checks);
    return 0;
}

const char *test_role(void)
{
    return role;
}

const char *test_role_argument(void)
{
    return role_argument;
}

void test_skip(const char *reason)
{
    skips++;
    printf("skip: %s: %s\n", program_name, reason);
}

size_t test_rounds(size_t full, size_t brief)
{
    return getenv("EVT_TEST_SHORT") != NULL ? brief : full;
}

int test_instrumented(void)
{
    return getenv("EVT_TEST_INSTRUMENTED") != NULL;
}

void test_give_up(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: cannot go on: %s\n", file, line, what);
    if (role[0] == '\0')
        printf("FAILED %s: given up at %s:%d\n", program_name, file, line);
    fflush(stdout);
    _exit(1);
}

void test_pause(void)
{
    struct timespec moment = {0, 1000000};
    nanosleep(&moment, NULL);
}

int test_at(const char *file, int line)
{
    __atomic_store_n(&place_file, file, __ATOMIC_RELAXED);
    __atomic_store_n(&place_line, line, __ATOMIC_RELAXED);
    return 1;
}

void flag_put(struct flag *flag, int is_set)
{
    pthread_mutex_lock(&flag->lock);
    flag->is_set = is_set;
    pthread_mutex_unlock(&flag->lock);
}

int flag_get(struct flag *flag)
{
    int is_set;
    pthread_mutex_lock(&flag->lock);
    is_set = flag->is_set;
    pthread_mutex_unlock(&flag->lock);
    return is_set;
}

static int count(int is_choice, int holds)
{
    pthread_mutex_lock(&count_lock);
    checks++;
    if (!holds && is_choice)
        failed_choices++;
    else if (!holds)
        failures++;
    pthread_mutex_unlock(&count_lock);
    return holds;
}

static const char *mark(int is_choice)
{
    return is_choice ? " (REC)" : "";
}

void check_at(const char *file, int line, int is_choice, int holds, const char *text)
{
    if (!count(is_choice, holds))
        fprintf(stderr, "%s:%d: does not hold%s: %s\n", file, line, mark(is_choice), text);
}

void check_number_at(const char *file, int line, int is_choice, unsigned long long expected,
                     unsigned long long actual, const char *text)
{
    if (!count(is_choice, expected == actual))
        fprintf(stderr, "%s:%d: expected %llu, got %llu%s: %s\n", file, line, expected, actual,
                mark(is_choice), text);
}

static const char *code_name(SaAisErrorT code)
{
    static const char *const names[] = {
        "0",          "OK",        "LIBRARY",       "VERSION",        "INIT",
        "TIMEOUT",    "TRY_AGAIN", "INVALID_PARAM", "NO_MEMORY",      "BAD_HANDLE",
        "BUSY",       "ACCESS",    "NOT_EXIST",     "NAME_TOO_LONG",  "EXIST",
        "NO_SPACE",   "INTERRUPT", "NAME_NOT_FOUND", "NO_RESOURCES",  "NOT_SUPPORTED",
        "BAD_OPERATION", "FAILED_OPERATION", "MESSAGE_ERROR", "QUEUE_FULL",
        "QUEUE_NOT_AVAILABLE", "BAD_FLAGS", "TOO_BIG",
    };
    size_t index = (size_t)code;
    return index < sizeof names / sizeof names[0] ? names[index] : "another code";
}

void check_ais_at(const char *file, int line, int is_choice, SaAisErrorT expected,
                  SaAisErrorT actual, const char *text)
{
    if (!count(is_choice, expected == actual))
        fprintf(stderr, "%s:%d: expected %s, got %s (%d)%s: %s\n", file, line,
                code_name(expected), code_name(actual), (int)actual, mark(is_choice), text);
}

/* ---- Other processes ------------------------------------------------------------------ */

/* On a cluster each role is on the next of the other nodes, whose sockets are separated by ':'. */
static void move_role(unsigned number)
{
    const char *sockets = getenv("EVT_TEST_ROLE_SOCKETS");
    char *copy;
    char *socket;
    unsigned count = 1;
    const char *at;

    if (sockets == NULL)
        return;
    for (at = sockets; *at != '\0'; at++)
        count += *at == ':';
    copy = strdup(sockets);
    NEED(copy != NULL);
    socket = strtok(copy, ":");
    for (number %= count; number > 0; number--)
        socket = strtok(NULL, ":");
    setenv("SAEVT_SOCKET", socket, 1);
    free(copy);
}

static void run_role(const char *child_role, const char *argument)
{
    char *arguments[4];
    arguments[0] = (char *)program_path;
    arguments[1] = (char *)child_role;
    arguments[2] = (char *)argument;
    arguments[3] = NULL;
    execv(program_path, arguments);
    _exit(126);
}

struct child child_start(const char *child_role, const char *argument)
{
    static unsigned started;
    struct child child;
    int to[2];
    int from[2];
    /* Sockets, for they can be written without the SIGPIPE that must not be ignored here: the
     * library has to get along with its default action. */
    NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, to) == 0);
    NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, from) == 0);
    /* Our ends must not stay open in other children, or the end of this one is not seen. */
    fcntl(to[1], F_SETFD, FD_CLOEXEC);
    fcntl(from[0], F_SETFD, FD_CLOEXEC);
    fflush(stdout);
    started++;
    child.pid = fork();
    NEED(child.pid >= 0);
    if (child.pid == 0) {
        move_role(started);
        dup2(to[0], STDIN_FILENO);
        dup2(from[1], STDOUT_FILENO);
        close(to[0]);
        close(from[1]);
        run_role(child_role, argument);
    }
    close(to[0]);
    close(from[1]);
    child.to = to[1];
    child.from = from[0];
    return child;
}

static void say(int descriptor, char letter)
{
    ssize_t written;
    do {
        written = send(descriptor, &letter, 1, MSG_NOSIGNAL);
    } while (written < 0 && errno == EINTR);
    CHECK(written == 1);
}

static char hear(int descriptor)
{
    char letter = 0;
    ssize_t got;
    do {
        got = read(descriptor, &letter, 1);
    } while (got < 0 && errno == EINTR);
    return got == 1 ? letter : 0;
}

void child_say(const struct child *child, char letter)
{
    say(child->to, letter);
}

char child_hear(const struct child *child)
{
    return hear(child->from);
}

int child_wait(struct child *child)
{
    int status = -1;
    pid_t ended;
    close(child->to);
    close(child->from);
    do {
        ended = waitpid(child->pid, &status, 0);
    } while (ended < 0 && errno == EINTR);
    CHECK(ended == child->pid);
    return status;
}

void child_end(struct child *child)
{
    int status = child_wait(child);
    CHECK(WIFEXITED(status));
    CHECK_EQ(0, WIFEXITED(status) ? WEXITSTATUS(status) : 255);
}

void child_kill(struct child *child)
{
    int status;
    CHECK(kill(child->pid, SIGKILL) == 0);
    status = child_wait(child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

void parent_say(char letter)
{
    say(STDOUT_FILENO, letter);
}

char parent_hear(void)
{
    return hear(STDIN_FILENO);
}
