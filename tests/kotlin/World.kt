// An organisation with a server, through the real command, and a process that is killed.

import java.io.File

/** How long something that must happen may take. */
const val WAIT_S = 30L

class World(private val program: String, private val folder: File) : AutoCloseable {
    private val organisation = path("org")
    private val server: Process

    init {
        folder.deleteRecursively()
        folder.mkdirs()
        run("init", organisation, "--name", "Kotlin test")
        run("caseload", "add", organisation, "mashhad")
        for (programme in listOf("rapid_needs", "voluntary_return")) {
            run("programme", "add", organisation, programme, "--caseload", "mashhad")
        }
        // The second form of that programme is not asked for here.
        run("form", "retire", organisation, "return_visit")
        server = start(program, "serve", organisation, "--listen", "127.0.0.1:0", "--console", "127.0.0.1:0", "--json")
        check("sync" in server.inputStream.bufferedReader().readLine().orEmpty()) { "the server is not ready" }
    }

    /** A path in the world's folder. */
    fun path(name: String): String = File(folder, name).path

    /** A fresh invitation for an enumerator. */
    fun invitation(): String =
        field(run("invite", organisation, "--role", "enumerator", "--caseload", "mashhad", "--json"), "invitation")

    /** Publishes another form while the server runs. */
    fun publish(name: String, content: String) {
        val file = File(path(name)).apply { writeText(content) }
        run("form", "add", organisation, file.path, "--caseload", "mashhad")
    }

    /** Runs this program again with other arguments, and kills it as soon as it has said one line. */
    fun killed(vararg arguments: String): String {
        val java = ProcessHandle.current().info().command().get()
        val library = "-Djna.library.path=" + System.getProperty("jna.library.path")
        val process = start(java, library, "-cp", System.getProperty("java.class.path"), "MainKt", *arguments)
        val line = process.inputStream.bufferedReader().readLine()
        process.destroyForcibly().waitFor()
        return checkNotNull(line) { "it ended before it could be killed" }
    }

    /** One behaviour: its name is printed when it holds. */
    inline fun tell(behaviour: String, check: () -> Unit) {
        try {
            check()
        } catch (failed: Throwable) {
            println("FAILED  $behaviour")
            throw failed
        }
        println("holds   $behaviour")
    }

    override fun close() {
        server.destroy()
        server.waitFor()
    }

    private fun run(vararg arguments: String): String {
        val process = start(program, *arguments)
        process.outputStream.close()
        val output = process.inputStream.bufferedReader().readText()
        check(process.waitFor() == 0) { "${arguments.toList()} failed" }
        return output.trim()
    }

    private fun start(vararg words: String): Process =
        ProcessBuilder(*words).redirectError(ProcessBuilder.Redirect.INHERIT).start()

    /** The text of one key of a flat JSON object: all that this test needs of JSON. */
    private fun field(json: String, key: String): String =
        checkNotNull(Regex("\"$key\"\\s*:\\s*\"([^\"]*)\"").find(json)) { json }.groupValues[1]
}
