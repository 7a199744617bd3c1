SUMMARY = "Configuration for the build machine's apt"
LICENSE = "CLOSED"

inherit native

INHIBIT_DEFAULT_DEPS = "1"
do_compile[noexec] = "1"

do_install() {
	install -d ${D}${sysconfdir}/apt
	# Of the directories that apt demands, bitbake makes that of the lists alone.
	cat >${D}${sysconfdir}/apt/apt.conf.sample <<-CONFIG
		Dir::State "#ROOTFS#/var/lib/apt/";
		Dir::State::lists "#APTCONF#/lists/";
		Dir::State::status "#ROOTFS#/var/lib/dpkg/status";
		Dir::Cache "#APTCONF#/cache/";
		Dir::Cache::archives "#APTCONF#/lists/";
		Dir::Etc "#APTCONF#";
		Dir::Etc::sourcelist "sources.list";
		Dir::Etc::sourceparts "sources.list.d";
		Dir::Log "#APTCONF#";
		APT::Install-Recommends "true";
		APT::Immediate-Configure "false";
		APT::Get::Assume-Yes "true";
		APT::Sandbox::User "root";
		APT
		{
		  Architecture "i586";
		};
		Acquire::AllowInsecureRepositories "true";
		DPkg::Options {"--root=#ROOTFS#";"--admindir=#ROOTFS#/var/lib/dpkg";"--force-all";"--no-debsig"};
		DPkg::Path "";
	CONFIG
}
