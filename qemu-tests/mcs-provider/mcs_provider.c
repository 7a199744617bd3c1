// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/mcs for kernels without openEuler's mcs_km, for tests
 *
 * The same device for bare-metal cores: numbers, structures, errors, mapping
 * attributes and interrupts. It has no RISC-V side: that pedestal type can be
 * selected, has no memory, and what would touch its registers is ENODEV.
 */

#include <linux/arm-smccc.h>
#include <linux/capability.h>
#include <linux/cdev.h>
#include <linux/cpu.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/interrupt.h>
#include <linux/ioctl.h>
#include <linux/irq.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/of_address.h>
#include <linux/percpu.h>
#include <linux/poll.h>
#include <linux/smp.h>
#include <linux/types.h>
#include <linux/uaccess.h>
#include <linux/wait.h>
#include <uapi/linux/psci.h>

/* The sizes in the numbers are those of the ABI, not those of what is copied. */
#define MCS_IOC_SENDIPI			_IOW('A', 0, int)
#define MCS_IOC_CPUON			_IOW('A', 1, int)
#define MCS_IOC_AFFINITY_INFO		_IOW('A', 2, int)
#define MCS_IOC_QUERY_MEM		_IOW('A', 3, int)
#define MCS_IOC_GET_COPY_MSG_MEM	_IOWR('A', 4, struct mcs_copy_msg_mem)
#define MCS_IOC_SET_PED_TYPE		_IOW('A', 5, int)

/* What Linux calls SGI 7, and what the SGI is called by the interrupt controller. */
#define MCS_IRQ				8
#define MCS_SGI				7

#define MCS_MAX_REGIONS			4

/* Where the window for bulk data is, in the first region. */
#define MCS_MAX_INSTANCE		4
#define MCS_INSTANCE_SIZE		0x2400000
#define MCS_COPY_MSG_OFFSET		(0x1000000 - 0x300000)
#define MCS_COPY_MSG_SIZE		0x200000

enum mcs_type {
	MCS_BARE_METAL,
	MCS_RISCV,
	MCS_TYPES
};

struct mcs_cpu {
	u32 cpu;
	u32 pad;
	u64 boot_addr;
};

struct mcs_mem {
	u64 base;
	u64 size;
};

struct mcs_copy_msg_mem {
	u32 instance;
	u32 pad;
	u64 phys_addr;
	u64 user_addr;
	u64 size;
	u64 unused;
};

/**
 * struct mcs_pedestal - what all files of a type share
 * @regions: memory that may be mapped; the first is for communication
 * @count: how many there are
 * @rung: an interrupt has come that nobody has polled
 * @wait: who waits for it
 */
struct mcs_pedestal {
	struct mcs_mem regions[MCS_MAX_REGIONS];
	unsigned int count;
	atomic_t rung;
	wait_queue_head_t wait;
};

static struct mcs_pedestal mcs_pedestals[MCS_TYPES];

static unsigned long rmem_base;
module_param(rmem_base, ulong, 0400);
MODULE_PARM_DESC(rmem_base, "base of the one region to use instead of the device tree's");

static unsigned long rmem_size;
module_param(rmem_size, ulong, 0400);
MODULE_PARM_DESC(rmem_size, "size of the one region to use instead of the device tree's");

static bool mcs_smc;
static int __percpu *mcs_cookie;
static struct cdev mcs_cdev;
static dev_t mcs_devt;

/* PSCI */

static long mcs_psci(unsigned long function, u64 mpidr, u64 argument)
{
	struct arm_smccc_res res;

	if (mcs_smc)
		arm_smccc_smc(function, mpidr, argument, 0, 0, 0, 0, 0, &res);
	else
		arm_smccc_hvc(function, mpidr, argument, 0, 0, 0, 0, 0, &res);
	/* PSCI results are 32 bits wide. */
	return (s32)res.a0;
}

static int mcs_find_conduit(void)
{
	static const struct of_device_id ids[] = {
		{ .compatible = "arm,psci" },
		{ .compatible = "arm,psci-0.2" },
		{ .compatible = "arm,psci-1.0" },
		{ }
	};
	struct device_node *psci = of_find_matching_node(NULL, ids);
	const char *method;
	int ret;

	if (!psci)
		return -ENODEV;
	ret = of_property_read_string(psci, "method", &method);
	of_node_put(psci);
	if (ret)
		return ret;
	mcs_smc = !strcmp(method, "smc");
	return 0;
}

static int mcs_mpidr(u32 cpu, u64 *mpidr)
{
	struct device_node *node;
	const __be32 *reg;
	int length;

	if (cpu >= nr_cpu_ids || !cpu_possible(cpu))
		return -EINVAL;
	node = of_get_cpu_node(cpu, NULL);
	if (!node)
		return -EINVAL;
	reg = of_get_property(node, "reg", &length);
	if (reg)
		*mpidr = of_read_number(reg, min(length / (int)sizeof(*reg), 2));
	of_node_put(node);
	return reg ? 0 : -EINVAL;
}

static int mcs_cpu_on(struct mcs_cpu *what)
{
	u64 mpidr;
	long result;
	int ret = mcs_mpidr(what->cpu, &mpidr);

	if (ret)
		return ret;
	result = mcs_psci(PSCI_0_2_FN64_CPU_ON, mpidr, what->boot_addr);
	if (result == PSCI_RET_SUCCESS)
		return 0;
	/* Callers can't tell which; the log can. */
	pr_info("mcs: CPU_ON of CPU %u at %#llx: %ld\n", what->cpu, what->boot_addr, result);
	return -EINVAL;
}

static int mcs_affinity_info(struct mcs_cpu *what)
{
	u64 mpidr;
	int ret = mcs_mpidr(what->cpu, &mpidr);

	if (ret)
		return ret;
	if (mcs_psci(PSCI_0_2_FN64_AFFINITY_INFO, mpidr, 0) == PSCI_0_2_AFFINITY_LEVEL_OFF)
		return 0;
	return -EFAULT;
}

/* Interrupts */

static void mcs_send_ipi(struct mcs_cpu *what)
{
	if (what->cpu >= nr_cpu_ids)
		return;
	/* In memory, not just seen by other CPUs: firmware may run without caches. */
	wmb();
	ipi_send_mask(MCS_IRQ, cpumask_of(what->cpu));
}

static irqreturn_t mcs_rung(int irq, void *cookie)
{
	struct mcs_pedestal *pedestal = &mcs_pedestals[MCS_BARE_METAL];

	atomic_set(&pedestal->rung, 1);
	wake_up_interruptible(&pedestal->wait);
	return IRQ_HANDLED;
}

static void mcs_enable_irq(void *unused)
{
	enable_percpu_irq(MCS_IRQ, IRQ_TYPE_NONE);
}

static void mcs_disable_irq(void *unused)
{
	disable_percpu_irq(MCS_IRQ);
}

static int mcs_request_irq(void)
{
	struct irq_data *data = irq_get_irq_data(MCS_IRQ);
	int ret;

	if (!data || data->hwirq != MCS_SGI)
		return -ENODEV;
	if (irq_has_action(MCS_IRQ)) {
		pr_err("mcs: IRQ %d is not free\n", MCS_IRQ);
		return -EBUSY;
	}
	mcs_cookie = alloc_percpu(int);
	if (!mcs_cookie)
		return -ENOMEM;
	ret = request_percpu_irq(MCS_IRQ, mcs_rung, "MCS IPI", mcs_cookie);
	if (ret) {
		free_percpu(mcs_cookie);
		return ret;
	}
	/* CPUs that come later do not hear it. */
	on_each_cpu(mcs_enable_irq, NULL, 1);
	return 0;
}

static void mcs_free_irq(void)
{
	on_each_cpu(mcs_disable_irq, NULL, 1);
	free_percpu_irq(MCS_IRQ, mcs_cookie);
	free_percpu(mcs_cookie);
}

/* Memory */

static int mcs_copy_msg_mem(struct mcs_pedestal *pedestal, struct mcs_copy_msg_mem *window)
{
	u64 offset = (u64)window->instance * MCS_INSTANCE_SIZE + MCS_COPY_MSG_OFFSET;

	/* Only the beginning has to be in the region. */
	if (window->instance > MCS_MAX_INSTANCE || !pedestal->count ||
	    offset >= pedestal->regions[0].size)
		return -EINVAL;
	window->phys_addr = pedestal->regions[0].base + offset;
	window->size = MCS_COPY_MSG_SIZE;
	return 0;
}

static bool mcs_holds(const struct mcs_mem *region, u64 start, u64 len)
{
	return start >= region->base && len <= region->size &&
	       start - region->base <= region->size - len;
}

static void mcs_add_region(struct mcs_pedestal *pedestal, u64 base, u64 size)
{
	pedestal->regions[pedestal->count].base = base;
	pedestal->regions[pedestal->count].size = size;
	pedestal->count++;
}

static void mcs_find_regions_of(struct device_node *node, struct mcs_pedestal *pedestal)
{
	struct device_node *memory;
	struct resource range;
	int ret;

	while (pedestal->count < MCS_MAX_REGIONS) {
		memory = of_parse_phandle(node, "memory-region", pedestal->count);
		if (!memory)
			return;
		ret = of_address_to_resource(memory, 0, &range);
		of_node_put(memory);
		if (ret)
			return;
		mcs_add_region(pedestal, range.start, resource_size(&range));
	}
}

static int mcs_find_regions(struct mcs_pedestal *pedestal)
{
	struct device_node *node;

	if (rmem_size) {
		mcs_add_region(pedestal, rmem_base, rmem_size);
		return 0;
	}
	node = of_find_compatible_node(NULL, NULL, "oe,mcs_remoteproc");
	if (!node)
		return -ENODEV;
	mcs_find_regions_of(node, pedestal);
	of_node_put(node);
	return pedestal->count ? 0 : -ENODEV;
}

/* The file */

static int mcs_type(struct file *file)
{
	return (int)(long)file->private_data;
}

static struct mcs_pedestal *mcs_pedestal(struct file *file)
{
	return &mcs_pedestals[mcs_type(file)];
}

static int mcs_open(struct inode *inode, struct file *file)
{
	if (!capable(CAP_SYS_RAWIO))
		return -EPERM;
	file->private_data = (void *)(long)MCS_BARE_METAL;
	return 0;
}

static long mcs_ioctl_cpu(struct file *file, unsigned int command, void __user *user)
{
	struct mcs_cpu what;

	if (copy_from_user(&what, user, sizeof(what)))
		return -EFAULT;
	if (command == MCS_IOC_AFFINITY_INFO)
		return mcs_affinity_info(&what);
	if (mcs_type(file) != MCS_BARE_METAL)
		return -ENODEV;
	if (command == MCS_IOC_CPUON)
		return mcs_cpu_on(&what);
	mcs_send_ipi(&what);
	return 0;
}

static long mcs_ioctl_query_mem(struct file *file, void __user *user)
{
	struct mcs_pedestal *pedestal = mcs_pedestal(file);

	if (!pedestal->count)
		return -ENODEV;
	if (copy_to_user(user, &pedestal->regions[0], sizeof(pedestal->regions[0])))
		return -EFAULT;
	return 0;
}

static long mcs_ioctl_copy_msg_mem(struct file *file, void __user *user)
{
	struct mcs_copy_msg_mem window;
	int ret;

	if (copy_from_user(&window, user, sizeof(window)))
		return -EFAULT;
	ret = mcs_copy_msg_mem(mcs_pedestal(file), &window);
	if (ret)
		return ret;
	return copy_to_user(user, &window, sizeof(window)) ? -EFAULT : 0;
}

static long mcs_ioctl_set_type(struct file *file, void __user *user)
{
	s32 type;

	if (copy_from_user(&type, user, sizeof(type)))
		return -EFAULT;
	if (type < 0 || type >= MCS_TYPES)
		return -EINVAL;
	file->private_data = (void *)(long)type;
	return 0;
}

static long mcs_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	void __user *user = (void __user *)argument;

	switch (command) {
	case MCS_IOC_SENDIPI:
	case MCS_IOC_CPUON:
	case MCS_IOC_AFFINITY_INFO:
		return mcs_ioctl_cpu(file, command, user);
	case MCS_IOC_QUERY_MEM:
		return mcs_ioctl_query_mem(file, user);
	case MCS_IOC_GET_COPY_MSG_MEM:
		return mcs_ioctl_copy_msg_mem(file, user);
	case MCS_IOC_SET_PED_TYPE:
		return mcs_ioctl_set_type(file, user);
	default:
		return -EINVAL;
	}
}

/* The offset is the physical address. */
static int mcs_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct mcs_pedestal *pedestal = mcs_pedestal(file);
	u64 start = (u64)vma->vm_pgoff << PAGE_SHIFT;
	u64 len = vma->vm_end - vma->vm_start;
	unsigned int index;

	for (index = 0; index < pedestal->count; index++) {
		if (!mcs_holds(&pedestal->regions[index], start, len))
			continue;
		/* On arm64: normal memory, not cached, not executable. */
		vma->vm_page_prot = pgprot_writecombine(vma->vm_page_prot);
		return remap_pfn_range(vma, vma->vm_start, vma->vm_pgoff, len, vma->vm_page_prot);
	}
	return -EINVAL;
}

/* Whoever asks first has the event; the others, in whatever process, do not. */
static __poll_t mcs_poll(struct file *file, poll_table *wait)
{
	struct mcs_pedestal *pedestal = mcs_pedestal(file);

	poll_wait(file, &pedestal->wait, wait);
	if (atomic_cmpxchg(&pedestal->rung, 1, 0) == 1)
		return EPOLLIN | EPOLLRDNORM;
	return 0;
}

static const struct file_operations mcs_fops = {
	.owner = THIS_MODULE,
	.open = mcs_open,
	.unlocked_ioctl = mcs_ioctl,
	.mmap = mcs_mmap,
	.poll = mcs_poll,
};

static struct class mcs_class = {
	.name = "mcs",
};

static int mcs_add_device(void)
{
	struct device *dev;
	int ret = alloc_chrdev_region(&mcs_devt, 0, 1, "mcs");

	if (ret)
		return ret;
	cdev_init(&mcs_cdev, &mcs_fops);
	ret = cdev_add(&mcs_cdev, mcs_devt, 1);
	if (ret)
		goto unregister;
	ret = class_register(&mcs_class);
	if (ret)
		goto del_cdev;
	dev = device_create(&mcs_class, NULL, mcs_devt, NULL, "mcs");
	if (!IS_ERR(dev))
		return 0;
	ret = PTR_ERR(dev);
	class_unregister(&mcs_class);
del_cdev:
	cdev_del(&mcs_cdev);
unregister:
	unregister_chrdev_region(mcs_devt, 1);
	return ret;
}

static int __init mcs_init(void)
{
	int type, ret;

	for (type = 0; type < MCS_TYPES; type++)
		init_waitqueue_head(&mcs_pedestals[type].wait);
	ret = mcs_find_conduit();
	if (ret)
		return ret;
	ret = mcs_find_regions(&mcs_pedestals[MCS_BARE_METAL]);
	if (ret)
		return ret;
	ret = mcs_request_irq();
	if (ret)
		return ret;
	ret = mcs_add_device();
	if (ret)
		mcs_free_irq();
	return ret;
}
module_init(mcs_init);

static void __exit mcs_exit(void)
{
	device_destroy(&mcs_class, mcs_devt);
	class_unregister(&mcs_class);
	cdev_del(&mcs_cdev);
	unregister_chrdev_region(mcs_devt, 1);
	mcs_free_irq();
}
module_exit(mcs_exit);

MODULE_DESCRIPTION("The /dev/mcs of openEuler's mcs_km, for tests");
MODULE_LICENSE("GPL");
