/* Several connections over loopback into one CPU, received in three ways: what does each cost the receiving CPU? See receivers.py.

   receivers FILE MECHANISM SINK CHUNK SOCKET_BUFFER MS CONNECTIONS HOW SENDER_CPU RECEIVER_CPU

   A process for each connection sends its part of FILE over and over for MS milliseconds (MECHANISM: sendfile, or read_send: pread and
   send). HOW they are received:
     threads    one process, a thread for each connection that waits in recv (what iperf3 does since 3.16)
     processes  a process for each connection that waits in recv
     epoll      one thread that waits for all with epoll, then receives once from each readable connection (what zcload does)
   Prints bytes, sender ns, receiver ns, receives, waits (epoll_wait), and voluntary context switches of the receivers. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST 64
static struct shared { long received, receives, waits, receiver_ns, sender_ns, sleeps; } *shared;
static int socks[MOST], discard;
static size_t chunk;

static void check(long result, const char *what) { if (result < 0) { perror(what); exit(1); } }

static long now(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000000000L + t.tv_nsec;
}

static void add(long *to, long what) { __atomic_fetch_add(to, what, __ATOMIC_RELAXED); }

static void pin(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set); CPU_SET(cpu, &set);
    check(sched_setaffinity(0, sizeof set, &set), "sched_setaffinity");
}

static char *memory(size_t size) {
    char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    check(at == MAP_FAILED ? -1 : 0, "mmap");
    return at;
}

static int prepared(int buffer) {
    int sock = socket(AF_INET, SOCK_STREAM, 0);
    check(sock, "socket");
    check(setsockopt(sock, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer), "SO_SNDBUF");
    check(setsockopt(sock, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer), "SO_RCVBUF");
    check(setsockopt(sock, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5), "cubic");
    return sock;
}

static void *receive_one(void *sock) {
    char *buffer = memory(chunk);
    long got, received = 0, receives = 0;
    while ((got = recv(*(int *)sock, buffer, chunk, discard ? MSG_TRUNC : 0)) > 0) { received += got; receives++; }
    check(got, "recv");
    add(&shared->received, received); add(&shared->receives, receives);
    return NULL;
}

static void receive_polled(int connections) {
    char *buffer = memory(chunk);
    struct epoll_event ready[MOST];
    int poller = epoll_create1(0);
    check(poller, "epoll_create1");
    for (int i = 0; i < connections; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = socks[i]};
        check(epoll_ctl(poller, EPOLL_CTL_ADD, socks[i], &event), "epoll_ctl");
    }
    for (int left = connections; left;) {
        int count = epoll_wait(poller, ready, MOST, -1);
        check(count, "epoll_wait");
        shared->waits++;
        for (int i = 0; i < count; i++) {
            long got = recv(ready[i].data.fd, buffer, chunk, discard ? MSG_TRUNC : 0);
            check(got, "recv");
            if (got) { shared->received += got; shared->receives++; }
            else { check(epoll_ctl(poller, EPOLL_CTL_DEL, ready[i].data.fd, NULL), "epoll_ctl"); left--; }
        }
    }
}

static void receive_threaded(int connections) {
    pthread_t threads[MOST];
    for (int i = 0; i < connections; i++) check(-pthread_create(&threads[i], NULL, receive_one, &socks[i]), "pthread_create");
    for (int i = 0; i < connections; i++) pthread_join(threads[i], NULL);
}

/* Run by a receiving process: count its CPU time and how often it slept. */
static void counted(char how, int connections, int own, int cpu) {
    struct rusage usage;
    pin(cpu);
    if (how == 'e') receive_polled(connections);
    else if (how == 't') receive_threaded(connections);
    else receive_one(&socks[own]);
    getrusage(RUSAGE_SELF, &usage);
    add(&shared->receiver_ns, now(CLOCK_PROCESS_CPUTIME_ID)); add(&shared->sleeps, usage.ru_nvcsw);
    exit(0);
}

static void send_part(int sock, int file, off_t from, off_t to, int copies, long ns, int cpu) {
    char *buffer = memory(chunk);
    off_t offset = from;
    pin(cpu);
    long until = now(CLOCK_MONOTONIC) + ns;
    do {
        size_t part = chunk > (size_t)(to - offset) ? (size_t)(to - offset) : chunk;
        if (copies) {
            long got = pread(file, buffer, part, offset), sent;
            check(got, "pread");
            check(sent = send(sock, buffer, got, 0), "send");
            offset += sent;
        } else check(sendfile(sock, file, &offset, part), "sendfile");
        if (offset == to) offset = from;
    } while (now(CLOCK_MONOTONIC) < until);
    shutdown(sock, SHUT_WR);
    add(&shared->sender_ns, now(CLOCK_PROCESS_CPUTIME_ID));
    exit(0);
}

int main(int argc, char **argv) {
    if (argc != 11) { fprintf(stderr, "see the comment at the top of receivers.c\n"); return 2; }
    int file = open(argv[1], O_RDONLY), copies = !!strcmp(argv[2], "sendfile"), buffer = atoi(argv[5]), connections = atoi(argv[7]);
    char how = argv[8][0];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct stat status; socklen_t length = sizeof address;
    int clients[MOST], failed = 0, state;
    if (connections < 1 || connections > MOST) { fprintf(stderr, "1 to %d connections\n", MOST); return 2; }
    discard = !strcmp(argv[3], "discard"); chunk = atol(argv[4]);
    check(file < 0 ? file : fstat(file, &status), argv[1]);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int listener = prepared(buffer);
    check(bind(listener, (struct sockaddr *)&address, sizeof address), "bind");
    check(listen(listener, MOST), "listen");
    check(getsockname(listener, (struct sockaddr *)&address, &length), "getsockname");
    for (int i = 0; i < connections; i++) {
        check(connect(clients[i] = prepared(buffer), (struct sockaddr *)&address, sizeof address), "connect");
        check(socks[i] = accept(listener, NULL, NULL), "accept");
    }
    for (int i = 0; i < (how == 'p' ? connections : 1); i++) {
        pid_t child = fork();
        check(child, "fork");
        if (!child) {
            for (int j = 0; j < connections; j++) close(clients[j]);
            counted(how, connections, i, atoi(argv[10]));
        }
    }
    for (int i = 0; i < connections; i++) {
        pid_t child = fork();
        check(child, "fork");
        if (!child) {
            for (int j = 0; j < connections; j++) if (j != i) close(clients[j]);
            off_t part = status.st_size / connections;
            send_part(clients[i], file, i * part, (i + 1) * part, copies, atol(argv[6]) * 1000000L, atoi(argv[9]));
        }
    }
    for (int i = 0; i < connections; i++) { close(clients[i]); close(socks[i]); }
    while (wait(&state) > 0) failed |= state;
    if (failed) return 1;
    printf("%ld %ld %ld %ld %ld %ld\n", shared->received, shared->sender_ns, shared->receiver_ns, shared->receives, shared->waits, shared->sleeps);
    return 0;
}
