/* Stands in for NVIDIA's management library, as far as the GPU detector asks it.
 *
 * Its machine is described by environment variables, read at each call:
 *
 *   STAND_IN_DEVICES  a line for each device, fields set apart by "|":
 *                       GPU|name|bytes|uuid|mode     mode: none, off or on (MIG), or denied
 *                       MIG|name|bytes|uuid|gi|ci    an instance of the GPU above it
 *                     unset: the driver is not loaded, as if this library were not there
 *   STAND_IN_DRIVER   the driver's version, by default 580.95.05
 *   STAND_IN_FAIL     function=code: that function fails with that code
 *   STAND_IN_HANG     function: that function does not return
 *   STAND_IN_CALLS    a file to which the name of each function called is appended
 *
 * A device's handle is the number of its line, from 1.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NO_PERMISSION = 4, NOT_FOUND = 6,
       DRIVER_NOT_LOADED = 9 };

typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { char kind[8], name[96], bytes[24], uuid[96], fifth[16], sixth[16]; } Device;

static int initialised;

static const char *setting(const char *name)
{
    const char *value = getenv(name);
    return value ? value : "";
}

/* Notes the call, hangs or fails as told, and checks that the library is initialised. */
static int called(const char *function)
{
    const char *path = setting("STAND_IN_CALLS"), *fail = setting("STAND_IN_FAIL");
    size_t length = strlen(function);
    if (*path) {
        FILE *file = fopen(path, "a");
        fprintf(file, "%s\n", function);
        fclose(file);
    }
    while (strcmp(setting("STAND_IN_HANG"), function) == 0)
        sleep(1);
    if (strncmp(fail, function, length) == 0 && fail[length] == '=')
        return atoi(fail + length + 1);
    return initialised || strcmp(function, "nvmlInitWithFlags") == 0 ? SUCCESS : UNINITIALIZED;
}

/* Reads line `number` of the devices; returns 0 where there is none. */
static int device(size_t number, Device *found)
{
    const char *line = setting("STAND_IN_DEVICES");
    for (; number > 1 && line; number--)
        line = (line = strchr(line, '\n')) ? line + 1 : NULL;
    memset(found, 0, sizeof *found);
    return line && sscanf(line, "%7[^|\n]|%95[^|\n]|%23[^|\n]|%95[^|\n]|%15[^|\n]|%15[^|\n]", found->kind, found->name,
                          found->bytes, found->uuid, found->fifth, found->sixth) >= 5;
}

static int is_gpu(const Device *found) { return strcmp(found->kind, "GPU") == 0; }

/* Returns the number of the GPU on or above line `number`. */
static size_t parent(size_t number)
{
    Device found;
    while (device(number, &found) && !is_gpu(&found))
        number--;
    return number;
}

static int give(void **handle, size_t number)
{
    Device found;
    *handle = (void *)number;
    device(parent(number), &found);
    return strcmp(found.fifth, "denied") == 0 ? NO_PERMISSION : SUCCESS;
}

static int copy(const char *text, char *buffer, unsigned int length)
{
    snprintf(buffer, length, "%s", text);
    return SUCCESS;
}

int nvmlInitWithFlags(unsigned int flags)
{
    int result = called("nvmlInitWithFlags");
    (void)flags;
    if (result == SUCCESS && !getenv("STAND_IN_DEVICES"))
        result = DRIVER_NOT_LOADED;
    initialised += result == SUCCESS;
    return result;
}

int nvmlShutdown(void)
{
    int result = called("nvmlShutdown");
    initialised -= result == SUCCESS;
    return result;
}

int stand_in_initialised(void) { return initialised; }

int nvmlSystemGetDriverVersion(char *version, unsigned int length)
{
    int result = called("nvmlSystemGetDriverVersion");
    return result ? result : copy(getenv("STAND_IN_DRIVER") ? getenv("STAND_IN_DRIVER") : "580.95.05", version, length);
}

int nvmlDeviceGetCount_v2(unsigned int *count)
{
    int result = called("nvmlDeviceGetCount_v2");
    Device found;
    *count = 0;
    for (size_t number = 1; device(number, &found); number++)
        *count += is_gpu(&found);
    return result;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **handle)
{
    int result = called("nvmlDeviceGetHandleByIndex_v2");
    Device found;
    if (result)
        return result;
    for (size_t number = 1; device(number, &found); number++)
        if (is_gpu(&found) && index-- == 0)
            return give(handle, number);
    return INVALID_ARGUMENT;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, void **handle)
{
    int result = called("nvmlDeviceGetHandleByUUID");
    Device found, gpu;
    char old_form[160];
    if (result)
        return result;
    for (size_t number = 1; device(number, &found); number++) {
        device(parent(number), &gpu);
        snprintf(old_form, sizeof old_form, "MIG-%s/%s/%s", gpu.uuid, found.fifth, found.sixth);
        if (strcmp(uuid, found.uuid) == 0 || (!is_gpu(&found) && strcmp(uuid, old_form) == 0))
            return give(handle, number);
    }
    return NOT_FOUND;
}

int nvmlDeviceGetName(void *handle, char *name, unsigned int length)
{
    int result = called("nvmlDeviceGetName");
    Device found;
    device((size_t)handle, &found);
    return result ? result : copy(found.name, name, length);
}

int nvmlDeviceGetUUID(void *handle, char *uuid, unsigned int length)
{
    int result = called("nvmlDeviceGetUUID");
    Device found;
    device((size_t)handle, &found);
    return result ? result : copy(found.uuid, uuid, length);
}

int nvmlDeviceGetMemoryInfo(void *handle, Memory *memory)
{
    int result = called("nvmlDeviceGetMemoryInfo");
    Device found;
    device((size_t)handle, &found);
    memory->total = strtoull(found.bytes, NULL, 10);
    memory->used = memory->total / 2;
    memory->free = memory->total - memory->used;
    return result;
}

int nvmlDeviceGetMigMode(void *handle, unsigned int *current, unsigned int *pending)
{
    int result = called("nvmlDeviceGetMigMode");
    Device found;
    device((size_t)handle, &found);
    *current = *pending = strcmp(found.fifth, "on") == 0;
    return result ? result : strcmp(found.fifth, "none") == 0 ? NOT_SUPPORTED : SUCCESS;
}

int nvmlDeviceGetMaxMigDeviceCount(void *handle, unsigned int *count)
{
    (void)handle;
    *count = 7;
    return called("nvmlDeviceGetMaxMigDeviceCount");
}

int nvmlDeviceGetMigDeviceHandleByIndex(void *handle, unsigned int index, void **instance)
{
    int result = called("nvmlDeviceGetMigDeviceHandleByIndex");
    size_t number = (size_t)handle + 1 + index;
    Device found;
    if (result)
        return result;
    return device(number, &found) && parent(number) == (size_t)handle ? give(instance, number) : NOT_FOUND;
}

int nvmlDeviceGetGpuInstanceId(void *handle, unsigned int *id)
{
    Device found;
    device((size_t)handle, &found);
    *id = (unsigned int)atoi(found.fifth);
    return called("nvmlDeviceGetGpuInstanceId");
}

int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(void *instance, void **handle)
{
    *handle = (void *)parent((size_t)instance);
    return called("nvmlDeviceGetDeviceHandleFromMigDeviceHandle");
}
