/* A file layer that can be looked into and that can be full: LD_PRELOADed into one process.
 *
 * Of the files in FORGETFUL_DIR whose name contains ".db" (SQLite's, but for the shared memory, which is nothing but memory) each write,
 * truncation, creation, removal and sync that succeeded is appended to the journal FORGETFUL_LOG, in the order in which they took place: one
 * lock is held over the call and its record. While the file FORGETFUL_FULL exists, what would make a file longer, or fill a hole, fails
 * with ENOSPC.
 *
 * A record: kind (W, T, C, U, S, D), length of the name, offset, length of the data: 4 numbers of 8 bytes; then name and data.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int journal = -1;

static void record(char kind, const char *name, uint64_t offset, const void *data, uint64_t length) {
    uint64_t head[4] = {(uint64_t)kind, strlen(name), offset, length};
    struct iovec parts[3] = {{head, sizeof head}, {(void *)name, head[1]}, {(void *)data, length}};
    if (journal < 0) journal = NEXT(open)(getenv("FORGETFUL_LOG"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (writev(journal, parts, 3) != (ssize_t)(sizeof head + head[1] + length)) abort(); /* a journal with a gap proves nothing */
}

static int named(const char *path, char *name) {
    const char *folder = getenv("FORGETFUL_DIR");
    size_t length = folder ? strlen(folder) : 0;
    if (!length || !getenv("FORGETFUL_LOG") || strncmp(path, folder, length) || path[length] != '/') return 0;
    const char *rest = path + length + 1;
    if (!strstr(rest, ".db") || strstr(rest, "-shm") || strchr(rest, '/')) return 0;
    strncpy(name, rest, 255);
    return 1;
}

static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, 4095);
    if (length <= 0) return 0;
    path[length] = 0;
    return 1;
}

static int ours(int fd, char *name) {
    char path[4096];
    return path_of(fd, path) && named(path, name);
}

static int is_full(int fd, off_t end) {
    const char *flag = getenv("FORGETFUL_FULL");
    struct stat now;
    return flag && access(flag, F_OK) == 0 && fstat(fd, &now) == 0 && end > now.st_size;
}

static ssize_t written(int fd, const void *data, size_t length, off_t offset) {
    char name[256] = {0};
    if (!ours(fd, name)) return NEXT(pwrite)(fd, data, length, offset);
    if (is_full(fd, offset + (off_t)length)) return errno = ENOSPC, -1;
    pthread_mutex_lock(&lock);
    ssize_t done = NEXT(pwrite)(fd, data, length, offset);
    if (done > 0) record('W', name, (uint64_t)offset, data, (uint64_t)done);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return written(fd, data, length, offset); }
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) { return written(fd, data, length, offset); }

ssize_t write(int fd, const void *data, size_t length) {
    char name[256] = {0};
    if (!ours(fd, name)) return NEXT(write)(fd, data, length);
    off_t offset = lseek(fd, 0, SEEK_CUR);
    ssize_t done = written(fd, data, length, offset);
    if (done > 0) lseek(fd, offset + done, SEEK_SET);
    return done;
}

static int cut(int fd, off_t length) {
    char name[256] = {0};
    if (!ours(fd, name)) return NEXT(ftruncate)(fd, length);
    if (is_full(fd, length)) return errno = ENOSPC, -1;
    pthread_mutex_lock(&lock);
    int done = NEXT(ftruncate)(fd, length);
    if (done == 0) record('T', name, (uint64_t)length, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}

int ftruncate(int fd, off_t length) { return cut(fd, length); }
int ftruncate64(int fd, off64_t length) { return cut(fd, length); }

/* Space taken ahead would be a write that the journal does not see: SQLite then writes zeros itself. */
int fallocate(int fd, int mode, off_t offset, off_t length) {
    char name[256] = {0};
    return ours(fd, name) ? (errno = EOPNOTSUPP, -1) : NEXT(fallocate)(fd, mode, offset, length);
}
int posix_fallocate(int fd, off_t offset, off_t length) {
    char name[256] = {0};
    return ours(fd, name) ? EOPNOTSUPP : NEXT(posix_fallocate)(fd, offset, length);
}

static int synced(int fd, int (*sync)(int)) {
    char path[4096], name[256] = {0};
    const char *folder = getenv("FORGETFUL_DIR");
    int file = ours(fd, name), directory = !file && folder && path_of(fd, path) && strcmp(path, folder) == 0;
    if (!file && !directory) return sync(fd);
    pthread_mutex_lock(&lock);
    int done = sync(fd);
    if (done == 0) record(file ? 'S' : 'D', name, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}

int fsync(int fd) { return synced(fd, NEXT(fsync)); }
int fdatasync(int fd) { return synced(fd, NEXT(fdatasync)); }

static int opened(int at, const char *path, int flags, mode_t mode) {
    char name[256] = {0};
    if (!(flags & O_CREAT) || !named(path, name)) return NEXT(openat)(at, path, flags, mode);
    pthread_mutex_lock(&lock);
    int is_new = access(path, F_OK) != 0;
    int fd = NEXT(openat)(at, path, flags, mode);
    if (fd >= 0 && is_new) record('C', name, 0, NULL, 0);
    if (fd >= 0 && !is_new && (flags & O_TRUNC)) record('T', name, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return fd;
}

#define MODE(flags)                                                                                                                            \
    mode_t mode = 0;                                                                                                                           \
    if (flags & (O_CREAT | O_TMPFILE)) {                                                                                                       \
        va_list rest;                                                                                                                          \
        va_start(rest, flags);                                                                                                                 \
        mode = va_arg(rest, mode_t);                                                                                                           \
        va_end(rest);                                                                                                                          \
    }

int open(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags | O_LARGEFILE, mode); }

int unlink(const char *path) {
    char name[256] = {0};
    if (!named(path, name)) return NEXT(unlink)(path);
    pthread_mutex_lock(&lock);
    int done = NEXT(unlink)(path);
    if (done == 0) record('U', name, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}
