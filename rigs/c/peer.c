/*
 * The other side of a board, played by the OpenAMP C library: as remote or as host it echoes what it gets, and as
 * "drive" it is a host that measures a remote. The board and the first bytes of payloads are those of src/board.rs and
 * src/echo.rs. Standard input is the eventfd it is kicked by, standard output the one it kicks.
 *
 *	peer remote|host BOARD polling|eventfd
 *	peer drive BOARD polling|eventfd SAMPLES TRIPS FLOOD
 */

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <metal/io.h>
#include <openamp/open_amp.h>
#include <openamp/remoteproc_virtio.h>
#include <openamp/rpmsg_virtio.h>

#define SERVICE "rpmsg-rig"
#define DA 0x70060000u
#define WINDOW_AT 0x1000
#define WINDOW_LEN 0x20000
#define VDEV_AT 0x14
#define PATIENCE_MS 10000

static struct fw_rsc_vdev *vdev_entry;
static char *window;
static struct virtio_device *vdev;
static struct rpmsg_virtio_device rpmsg;
static struct rpmsg_endpoint endpoint;
static int eventfd_mode, bound, quit;
static size_t received;

static void demand(int holds, const char *what)
{
	if (!holds) {
		fprintf(stderr, "peer: %s\n", what);
		exit(1);
	}
}

static int kick(void *priv, uint32_t id)
{
	const uint64_t one = 1;

	(void)priv;
	(void)id;
	if (eventfd_mode)
		demand(write(STDOUT_FILENO, &one, sizeof(one)) == sizeof(one), "kick");
	return 0;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec * 1e-9;
}

static void look(void)
{
	rproc_virtio_notified(vdev, vdev->role == VIRTIO_DEV_DRIVER ? 0 : 1);
}

/* Looks at the ring until `*count` is more than `than`. */
static void await(const size_t *count, size_t than)
{
	struct pollfd bell = { .fd = STDIN_FILENO, .events = POLLIN };
	unsigned long looks = 0;
	double begun = 0;
	uint64_t kicks;

	for (look(); *count <= than; look()) {
		if (eventfd_mode) {
			demand(poll(&bell, 1, PATIENCE_MS) == 1, "no kick within 10 s");
			demand(read(STDIN_FILENO, &kicks, sizeof(kicks)) == sizeof(kicks), "bell");
		} else if (++looks % 65536 == 0) {
			begun = begun ? begun : now();
			demand(now() - begun < PATIENCE_MS / 1000, "nothing came of polling in 10 s");
		}
	}
}

static void send_message(const void *data, int len)
{
	int status;

	if (eventfd_mode) {
		status = rpmsg_send(&endpoint, data, len);
	} else {
		/* Does not sleep while the ring is full. */
		do
			status = rpmsg_trysend(&endpoint, data, len);
		while (status == RPMSG_ERR_NO_BUFF);
	}
	demand(status == len, "send");
}

static int echo(struct rpmsg_endpoint *ept, void *data, size_t len, uint32_t src, void *priv)
{
	const char what = len ? *(const char *)data : 0;

	(void)ept;
	(void)src;
	(void)priv;
	received++;
	if (what == 'E')
		send_message(data, len);
	if (what == 'Q')
		quit = 1;
	return RPMSG_SUCCESS;
}

static int count(struct rpmsg_endpoint *ept, void *data, size_t len, uint32_t src, void *priv)
{
	(void)ept;
	(void)data;
	(void)len;
	(void)src;
	(void)priv;
	received++;
	return RPMSG_SUCCESS;
}

static rpmsg_ept_cb on_message = echo;

/* Binds what the remote announced; the first message, an empty one, tells it our address. */
static void bind(struct rpmsg_device *device, const char *name, uint32_t remote)
{
	demand(!strcmp(name, SERVICE), "another service was announced");
	demand(!rpmsg_create_ept(&endpoint, device, name, RPMSG_ADDR_ANY, remote, on_message, NULL), "bind");
	demand(rpmsg_send(&endpoint, "", 0) == 0, "activate");
	bound = 1;
	received++;
}

static void map_board(const char *path)
{
	int file = open(path, O_RDWR);
	char *map = mmap(NULL, WINDOW_AT + WINDOW_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);

	demand(file >= 0 && map != MAP_FAILED, path);
	vdev_entry = (struct fw_rsc_vdev *)(map + VDEV_AT);
	window = map + WINDOW_AT;
}

/* Rings and buffers as MICA's host places them; gives the offset of the first buffer. */
static size_t place_rings(void)
{
	struct fw_rsc_vdev_vring *rings = vdev_entry->vring;
	size_t first = metal_align_up(vring_size(rings[0].num, rings[0].align), 16);
	size_t second = metal_align_up(vring_size(rings[1].num, rings[1].align), 16);

	rings[0].da = DA;
	rings[1].da = DA + first;
	return first + second;
}

static void open_link(unsigned int role)
{
	static const metal_phys_addr_t physical = DA;
	static struct metal_io_region window_io, table_io;
	static struct rpmsg_virtio_shm_pool pool;
	const int is_host = role == VIRTIO_DEV_DRIVER;
	int ring;

	metal_io_init(&window_io, window, &physical, WINDOW_LEN, -1, 0, NULL);
	metal_io_init(&table_io, vdev_entry, NULL, WINDOW_AT - VDEV_AT, -1, 0, NULL);
	if (is_host) {
		size_t buffers = place_rings();

		rpmsg_virtio_init_shm_pool(&pool, window + buffers, WINDOW_LEN - buffers);
	}
	vdev = rproc_virtio_create_vdev(role, vdev_entry->notifyid, vdev_entry, &table_io, NULL, kick, NULL);
	demand(vdev != NULL, "no vdev");
	rproc_virtio_wait_remote_ready(vdev);
	for (ring = 0; ring < 2; ring++) {
		struct fw_rsc_vdev_vring *entry = &vdev_entry->vring[ring];

		demand(!rproc_virtio_init_vring(vdev, ring, entry->notifyid, window + (entry->da - DA), &window_io,
						entry->num, entry->align), "vring");
	}
	demand(!rpmsg_init_vdev(&rpmsg, vdev, is_host ? bind : NULL, &window_io, is_host ? &pool : NULL), "link");
	if (is_host)
		await(&received, 0);
	else
		demand(!rpmsg_create_ept(&endpoint, &rpmsg.rdev, SERVICE, RPMSG_ADDR_ANY, RPMSG_ADDR_ANY, on_message,
					 NULL), "announce");
}

static void serve(void)
{
	while (!quit)
		await(&received, received);
}

static void trips(int len, int samples, int count)
{
	char payload[496] = "E";
	int sample, trip;

	fprintf(stderr, "round trip\t%d", len);
	for (sample = 0; sample < samples; sample++) {
		double begun = now();

		for (trip = 0; trip < count; trip++) {
			size_t before = received;

			send_message(payload, len);
			await(&received, before);
		}
		fprintf(stderr, "\t%.3f", (now() - begun) * 1e9 / count);
	}
	fprintf(stderr, "\n");
}

static void floods(int len, int samples, int count)
{
	char payload[496] = "S";
	int sample, message;

	fprintf(stderr, "throughput\t%d", len);
	for (sample = 0; sample < samples; sample++) {
		double begun = now();
		size_t before = received;

		for (message = 1; message < count; message++)
			send_message(payload, len);
		send_message("E", 1);
		await(&received, before);
		fprintf(stderr, "\t%.3f", (double)len * count / (1 << 20) / (now() - begun));
	}
	fprintf(stderr, "\n");
}

static void drive(int samples, int count, int flood)
{
	static const int lengths[] = { 16, 64, 256, 496 };
	size_t index;

	for (index = 0; index < sizeof(lengths) / sizeof(*lengths); index++) {
		trips(lengths[index], samples, count);
		floods(lengths[index], samples, flood);
	}
	send_message("Q", 1);
}

int main(int argc, char **argv)
{
	const int drives = argc == 7 && !strcmp(argv[1], "drive");

	demand(drives || argc == 4, "usage: peer remote|host|drive BOARD polling|eventfd [SAMPLES TRIPS FLOOD]");
	eventfd_mode = !strcmp(argv[3], "eventfd");
	on_message = drives ? count : echo;
	map_board(argv[2]);
	open_link(strcmp(argv[1], "remote") ? VIRTIO_DEV_DRIVER : VIRTIO_DEV_DEVICE);
	if (drives)
		drive(atoi(argv[4]), atoi(argv[5]), atoi(argv[6]));
	else
		serve();
	if (vdev->role == VIRTIO_DEV_DEVICE)
		/* Tells the host that the endpoint goes away. */
		rpmsg_destroy_ept(&endpoint);
	return 0;
}
